"""One-line breakages that a person would make, each with the tests or notebooks that must notice it.

`old` occurs exactly once in `file`; in a notebook, exactly once in its cells. A test is a pytest node id; an `.ipynb`
among the tests is run under nbval.
"""

# ruff: noqa: E501 (a breakage is one line, however long)

from typing import NamedTuple


class Mutant(NamedTuple):
    """A breakage.

    Attributes:
        file: path from the root.
        old: the right text.
        new: what stands there instead.
        tests: what must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def library(module: str, test: str, *breakages: tuple[str, str, str]) -> list[Mutant]:
    """Breakages (old, new, names of tests) of one module that one test file notices."""
    return [
        Mutant(f"lib/denoising/{module}.py", old, new, tuple(f"{test}::{name}" for name in names.split()))
        for old, new, names in breakages
    ]


SCHEDULES = library(
    "schedules",
    "tests/unit/test_schedules.py",
    # off by one in alpha_bar: the last row would not be t = 1
    ("dtype=torch.float64) / T", "dtype=torch.float64) / (T + 1)", "test_row_i_is_time_i_plus_one_over_T"),
    (
        "torch.log1p(-betas).cumsum(0)",
        "torch.log1p(-betas)",
        "test_a_thousand_gaussian_steps_compose_to_the_closed_form",
    ),
    ("torch.log1p(-betas).cumsum(0)", "torch.log1p(betas).cumsum(0)", "test_the_known_ends"),
    # forgotten square roots
    ("(0.5 * log_ab).exp()", "log_ab.exp()", "test_variance_is_preserved_and_noise_grows"),
    ("(-torch.expm1(log_ab)).sqrt()", "(-torch.expm1(log_ab))", "test_variance_is_preserved_and_noise_grows"),
    # log-SNR instead of its half
    (
        "return alpha.log() - sigma.log()",
        "return 2 * (alpha.log() - sigma.log())",
        "test_the_quantities_agree_with_each_other",
    ),
    ("softplus(-2 * lam)", "softplus(-lam)", "test_time_is_recovered_from_lam_and_from_sigma_edm"),
    (
        "(1 + self.offset) * math.pi / 2\n",
        "(1 + self.offset) * math.pi\n",
        "test_cosine_follows_the_paper_above_its_floor",
    ),
    ("0.5 * (self.beta_max - self.beta_min) * t**2", "(self.beta_max - self.beta_min) * t**2", "test_the_known_ends"),
    ("(low + t * (high - low)) ** self.rho", "(high + t * (low - high)) ** self.rho", "test_edm_is_the_rho_curve"),
    (
        "return 1 - alpha_bar[1:] / alpha_bar[:-1]",
        "return 1 - alpha_bar[1:]",
        "test_a_table_made_from_a_schedule_passes_through_it",
    ),
    (
        "knots[left], knots[left + 1], place - left",
        "knots[left + 1], knots[left], place - left",
        "test_row_i_is_time_i_plus_one_over_T",
    ),
)

DENOISERS = library(
    "denoisers",
    "tests/unit/test_denoisers.py",
    ("return (x - sigma * value) / alpha", "return (x + sigma * value) / alpha", "test_conversions_round_trip"),
    ("return (x + sigma**2 * value) / alpha", "return (x + sigma * value) / alpha", "test_conversions_round_trip"),
    ("return (alpha * x0 - x) / sigma**2", "return (x - alpha * x0) / sigma**2", "test_the_score_is_the_gradient_of_the_exact_log_density"),
    ("return (alpha * x - sigma * value) / (alpha**2 + sigma**2)", "return alpha * x - sigma * value", "test_conversions_round_trip"),
    ("return alpha * x0 + sigma * eps", "return alpha**2 * x0 + sigma**2 * eps", "test_each_prediction_is_what_its_name_says"),
    # the network is asked about the next row
    ("(t * self.num_timesteps - 1).to(weight)", "(t * self.num_timesteps).to(weight)", "test_a_network_is_wrapped"),
    # the last class stands in for "no class"
    ("torch.full((len(x),), self.num_classes)", "torch.full((len(x),), self.num_classes - 1)", "test_no_label_means_the_null_label"),
)  # fmt: skip

EXACT = library(
    "exact",
    "tests/unit/test_exact.py",
    ("self.log_weights - 0.5 * (offset**2", "self.log_weights - (offset**2", "test_scalar_gaussian"),
    ("alpha**2 * self.values + sigma**2", "alpha * self.values + sigma**2", "test_scalar_gaussian"),
    ('pull = torch.einsum("bke,kde->bkd", alpha * self.values', 'pull = torch.einsum("bke,kde->bkd", self.values', "test_scalar_gaussian"),
    ('pull = torch.einsum("bke,kde->bkd"', 'pull = torch.einsum("bke,ked->bkd"', "test_in_more_dimensions_too"),
    ('torch.einsum("bkd,kde->bke", flat', 'torch.einsum("bkd,ked->bke", flat', "test_in_more_dimensions_too"),
    ('torch.einsum("bde,be->bd"', 'torch.einsum("bed,be->bd"', "test_in_more_dimensions_too"),
    ("within = (sigma**2 * self.values", "within = (sigma * self.values", "test_covariance_is_tweedie_of_the_second_order"),
    ("& (y[:, None] != k)", "& (y[:, None] != k - 1)", "test_the_null_label_means_no_label_and_labels_may_be_mixed"),
    ("self.values[y].sqrt() * noise[0]", "self.values[y] * noise[0]", "test_samples_have_the_moments"),
)  # fmt: skip

SAMPLERS = [
    *library(
        "samplers/ancestral",
        "tests/unit/test_samplers.py",
        ("return ratio * sigma_s**2 / sigma**2, alpha_s * added / sigma**2", "return alpha_s * added / sigma**2, ratio * sigma_s**2 / sigma**2", "test_ddpm_coefficients_are_those_of_the_paper"),
        ("added = sigma**2 - ratio**2 * sigma_s**2", "added = sigma**2 - ratio * sigma_s**2", "test_ddpm_coefficients_are_those_of_the_paper"),
        ('(small if variance == "small" else large).sqrt()', '(large if variance == "small" else small).sqrt()', "test_ddpm_coefficients_are_those_of_the_paper"),
        ("x = alpha_s * x0 + sigma_s * eps", "x = alpha_s * x0 + sigma * eps", "test_exponential_solvers_are_exact_in_one_step_on_a_point"),
    ),
    # with eta = 1 the square makes no difference; half-way it does
    *library("samplers/ancestral", "tests/parity/test_schedulers.py", ("variance = eta**2 * _posterior", "variance = eta * _posterior", "test_ddim")),
    *library(
        "samplers/solvers",
        "tests/unit/test_samplers.py",
        # Heun with the first slope twice is Euler
        ("x = x + (s - t) * (slope + ahead) / 2", "x = x + (s - t) * (slope + slope) / 2", "test_order"),
        ("return alpha_dot * x0 + sigma_dot *", "return alpha_dot * x0 - sigma_dot *", "test_order"),
        ("step = sigma_s / alpha_s - sigma / alpha", "step = sigma_s - sigma", "test_order"),
        ("x0 + (x0 - previous) * h", "x0 - (x0 - previous) * h", "test_order"),
        ("alpha_s * torch.expm1(-h) * guess", "alpha_s * torch.expm1(h) * guess", "test_order"),
        ("schedule.t_of_lam(schedule.lam(t) + half)", "schedule.t_of_lam(schedule.lam(s))", "test_the_middle_of_2s_lies_in_the_middle_of_lam"),
    ),
    # on a grid of equal steps r is 1 either way
    *library("samplers/solvers", "tests/parity/test_schedulers.py", ("h / (2 * h_previous)", "h_previous / (2 * h)", "test_dpmpp_2m")),
    *library(
        "samplers/common",
        "tests/unit/test_samplers.py",
        ("start = denoiser.schedule.sigma(float(times[0])).to(noise)", "start = torch.ones(())", "test_sample_batches_and_scales"),
        ("return x.double(), times", "return x, times", "test_states"),
    ),
]  # fmt: skip

STOCHASTIC = library(
    "samplers/stochastic",
    "tests/unit/test_stochastic.py",
    ("g2 = 2 * sigma * (sigma_dot", "g2 = sigma * (sigma_dot", "test_weak_order_is_one"),
    ("(1 + stochasticity) / 2 * g2 * score", "stochasticity * g2 * score", "test_no_stochasticity_is_euler"),
    (
        "(stochasticity * g2 * (t - s)).sqrt()",
        "stochasticity * (g2 * (t - s)).sqrt()",
        "test_the_samples_have_the_variance_of_that_law",
    ),
    # variances add, not deviations
    (
        "missing = (schedule.sigma_edm(higher) ** 2 - level**2).clamp(min=0).sqrt()",
        "missing = schedule.sigma_edm(higher) - level",
        "test_it_is_algorithm_2",
    ),
    ("min(churn / (len(times) - 1)", "min(churn / len(times)", "test_it_is_algorithm_2"),
)

TRAINING = library(
    "training",
    "tests/unit/test_training.py",
    ("            ema.update(net)\n", "            pass\n", "test_a_resumed_run_ends_in_the_same_weights test_a_small_network_comes_near_the_loss_of_the_exact_answer"),
    ('ema.module.load_state_dict(under("ema."))', 'ema.module.load_state_dict(under("net."))', "test_a_resumed_run_ends_in_the_same_weights"),
    ('ema.updates = int(header["step"])', "ema.updates = 0", "test_a_resumed_run_ends_in_the_same_weights"),
    ("list(net.parameters()), 1 - decay)", "list(net.parameters()), decay)", "test_after_k_updates_the_start_weighs_decay_to_the_k"),
    ("torch.rand(batch, generator=rng) < p_null", "torch.rand(batch, generator=rng) > p_null", "test_times_are_stratified_and_labels_dropped"),
    ("null = len(data.classes)", "null = 0", "test_times_are_stratified_and_labels_dropped"),
    ("part[rank::world]", "part[::world]", "test_shares_of_a_batch_average_to_the_whole"),
    ('Rng(seed).spawn("epoch", epoch)', 'Rng(seed).spawn("epoch")', "test_an_epoch_shows_every_item_once"),
    # labels that belong to other pictures
    ("x0, y = data.x[index], data.y[index]", "x0, y = data.x[index], data.y[:batch]", "test_times_are_stratified_and_labels_dropped"),
    ("(t * num_timesteps - 1).float()", "(t * num_timesteps).float()", "test_times_are_stratified_and_labels_dropped"),
    ("peak * min(1.0, (step + 1) / max(1, warmup)", "peak * min(1.0, step / max(1, warmup)", "test_learning_rate"),
    ("if hashlib.sha256(data).digest() != blob[:32]:", "if not blob:", "test_a_damaged_state_is_refused"),
    ("        os.replace(part, path)\n", "        path.write_bytes(part.read_bytes()[:-1])\n", "test_a_resumed_run_ends_in_the_same_weights"),
)  # fmt: skip

DISTANCES = library(
    "metrics",
    "tests/unit/test_metrics.py",
    ("b.cov.trace() - 2 * cross", "b.cov.trace() - cross", "test_frechet_distance_of_scalar_gaussians"),
    ("(axes * values.clamp(min=0).sqrt()) @ axes.mT", "(axes * values.clamp(min=0)) @ axes.mT", "test_frechet_distance_of_gaussians_with_shared_axes"),
    ("topk(k + 1, largest=False)", "topk(k, largest=False)", "test_precision_recall_and_coverage_by_brute_force"),
    ("return 2 * estimate - high, 2 * estimate - low", "return low, high", "test_the_basic_interval_takes_the_bias_off"),
    ("distance(statistics(a[rows])) - distance(statistics(b[rows]))", "distance(statistics(a[rows])) - distance(statistics(b[rows.flip(0).roll(1) % 7]))", "test_the_interval_of_a_difference_uses_the_pairs"),
    ("float(y.mean() - slope * x.mean())", "float(y.mean() + slope * x.mean())", "test_the_distance_continued_to_infinity_has_no_bias_and_more_spread"),
    ("points.append((1 / (n // k), sum(each) / k))", "points.append((n // k, sum(each) / k))", "test_two_parts_are_one_line_through_two_points"),
    (".double().sum(0).mean() / k)", ".double().sum(0).mean())", "test_precision_recall_and_coverage_by_brute_force"),
    ("two[:, 0] / two[:, 1]", "two[:, 1] / two[:, 1]", "test_neighbour_ratio_finds_copies"),
    ("values.std() / math.sqrt(blocks)", "values.std()", "test_kid_in_blocks"),
    ("(gram.sum() - gram.trace())", "gram.sum()", "test_kid_has_no_bias_and_sees_a_shift"),
    ("within(a) + within(b) - 2 * kernel", "within(a) + within(b) - kernel", "test_kid_has_no_bias_and_sees_a_shift"),
    ("float((distance <= _radii(real, k)[:, None]).any(0)", "float((distance <= _radii(real, k)[:, None]).any(1)", "test_precision_recall_and_coverage_by_brute_force"),
    ("return math.sqrt(cost[linear_sum_assignment(cost)].mean())", "return cost[linear_sum_assignment(cost)].mean()", "test_w2_of_a_shift_is_its_length"),
)  # fmt: skip

SHIPPED = [
    *library("datasets", "tests/unit/test_datasets.py", ("if got != sha256:", "if not data:", "test_a_damaged_file_is_named_with_its_remedy")),
    *library("datasets", "tests/unit/test_zoo.py", ("if got != sha256:", "if not data:", "test_a_damaged_checkpoint_is_named_with_its_remedy")),
    *library("zoo/__init__", "tests/unit/test_zoo.py", ('predicts="v"', 'predicts="eps"', "test_loss_by_noise_quartile_is_as_recorded[fashion_unet]")),
    *library("networks/unet", "tests/unit/test_zoo.py", ("self.norm2(h), 1 + scale)", "self.norm2(h), scale)", "test_loss_by_noise_quartile_is_as_recorded[fashion_unet]")),
    *library("networks/unet", "tests/unit/test_networks.py", ("self.null_label = num_classes\n", "self.null_label = num_classes - 1\n", "test_labels_and_times_matter_and_null_means_none")),
]  # fmt: skip


SUBSPACES = library(
    "subspaces",
    "tests/unit/test_subspaces.py",
    ("square().sum(-1)\n\n\ndef kss", "abs().sum(-1)\n\n\ndef kss", "test_energies"),
    ("eigenvectors[..., -d:]", "eigenvectors[..., :d]", "test_kss_of_one_subspace_is_pca"),
    # one sweep only
    ("for _ in range(sweeps):", "for _ in range(1):", "test_kss_is_a_local_minimum_with_the_residual_it_states"),
    ("best = residual.argmin(1)", "best = residual.argmax(1)", "test_kss_matches_all_splits_by_hand"),
    # no room for directions without a point
    ("size = min(n, max(rank, k * d))", "size = rank", "test_too_few_points_fill_up_at_random"),
    ("- 2 * cross", "- cross", "test_projector_distance"),
    # no matching
    ("cost[linear_sum_assignment(cost.numpy())].max()", "cost.diagonal().max()", "test_projector_distance"),
    # energy in place of its root
    ("share < eta**2 * share", "share < eta * share", "test_effective_rank"),
)

JACOBIANS = library(
    "jacobians",
    "tests/unit/test_jacobians.py",
    ("return torch.stack(rows, 1)", "return torch.stack(rows, 2)", "test_jacobian_of_a_linear_map_and_of_each_item"),
    ("right = rotation.mT @ right", "right = rotation @ right", "test_one_sweep_is_enough_for_a_matrix_of_rank_k"),
    (
        "sign = right.gather(1, right.abs().argmax(1, keepdim=True)).sign()",
        "sign = torch.ones(k, 1).to(right)",
        "test_top_singular_against_the_whole_decomposition",
    ),
    ("for _ in range(sweeps):", "for _ in range(1):", "test_top_singular_against_the_whole_decomposition"),
    ("SDPBackend.MATH", "SDPBackend.FLASH_ATTENTION", "test_both_on_the_shipped_network"),
)

BIAS_FREE = library(
    "networks/bias_free",
    "tests/unit/test_networks.py",
    (
        "nn.Conv2d(a, b, 3, padding=1, bias=False)",
        "nn.Conv2d(a, b, 3, padding=1)",
        "test_a_network_without_bias_scales_with_its_input",
    ),
    (
        "self.variance.lerp_(variance.detach(), 0.1)",
        "self.variance.lerp_(variance.detach(), 0.0)",
        "test_training_scales_by_the_batch_and_remembers",
    ),
)

PROCEDURAL = library(
    "procedural",
    "tests/unit/test_procedural.py",
    (
        "_noise((n, wide), frequency, alpha + 0.5, generator)",
        "_noise((n, wide), frequency, 0.5, generator)",
        "test_the_spectrum_of_textures_falls_as_asked test_contours_get_smoother",
    ),
    (
        "frequency.clamp(min=1e-9) ** -power",
        "frequency.clamp(min=1e-9) ** (-power / 2)",
        "test_the_spectrum_of_textures_falls_as_asked",
    ),
    ("(place - column) ** 2", "(place - row) ** 2", "test_a_disc_is_where_it_says"),
)


def notebook(path: str, *breakages: tuple[str, str]) -> list[Mutant]:
    """Breakages (old, new) of a notebook's cells that its own outputs and claims notice."""
    file = f"notebooks/{path}.ipynb"
    return [Mutant(file, old, new, (file,)) for old, new in breakages]


NOTEBOOKS = [
    *notebook(
        "0-start/0.0-welcome",
        ("seen == asked", "seen == asked.flip(0)"),  # labels of other samples
        ("torch.tensor([0.3, 0.7])", "torch.tensor([0.7, 0.3])"),  # weights swapped
        ("denoiser, start, times, y=labels)", "denoiser, start, times, y=None)"),  # the wish is not passed on
        (
            "error = (average - guesses[0].cpu())",
            "error = (average - guesses[-1].cpu())",
        ),  # the last guess for the first
        ("return alpha_s * x0 + sigma_s * eps", "return alpha_s * x0 + sigma * eps"),  # noise of the old time
    ),
    *notebook(
        "1-ddpm/1.1-forward-process",
        ("return root(1 - b) * x +", "return (1 - b) * x +"),  # shrinks by 1 - beta
        ("var * (1 - b) + b", "var + b"),  # old noise is not shrunk
        ("{alpha_bar[99]:.4f}", "{alpha_bar[100]:.4f}"),  # off by one
        ("(s.snr(t) > 0.01) & (s.snr(t) < 100)", "(s.lam(t) > -2) & (s.lam(t) < 2)"),  # log-SNR for its half
        ("(0.5 + 0.5 * (kl / 2).sqrt())", "(0.5 + 0.5 * kl / 2)"),  # Pinsker without the root
        ("middle = alpha * (centre @ centre) / 2", "middle = alpha * (centre @ centre)"),  # a factor in the judge
        ("torch.log1p(s.snr(u) * c**2)", "(s.snr(u) * c**2)"),  # no logarithm
        ("return 4 * pooled.var(0).mean()", "return 2 * pooled.var(0).mean()"),
        ("[every - 1 :: every]", "[every - 2 :: every][:T]"),  # off by one in the solution
    ),
    *notebook(
        "1-ddpm/1.2-reverse-posterior-elbo",
        ("keep = (1 - beta).sqrt() * (1 - before)", "keep = (1 - beta) * (1 - before)"),
        ("coef = before.sqrt() * beta / (1 - left)\n", "coef = left.sqrt() * beta / (1 - left)\n"),
        ("weight = coef**2 / (2 * small)", "weight = coef**2 / small"),
    ),
    *notebook(
        "1-ddpm/1.4-samplers",
        ("- half * beta * denoiser.score(x, t)", "- 2 * half * beta * denoiser.score(x, t)"),
        ("now + (now - last) / (2 * ratio(h_last / h))", "now + (now - last) / (2 * ratio(h / h_last))"),
        ("torch.expm1(-h) * denoiser(x, t)", "(-h) * denoiser(x, t)"),
    ),
    *notebook(
        "1-ddpm/1.5-sde-view",
        ("+ b * h ** (2 * power)", "+ b * h ** power"),  # a step's noise has variance beta h
        ("linear_betas(T, 0.1 / size, 20 / size)", "linear_betas(T, 0.1 / size, 10 / size)"),
        ("* gauss.exp()).sum() * 0.005).sqrt())", "* gauss.exp()).sum() * 0.005))"),
        ("drift = half * beta(t) * (line[:, 0] + (1 + k)", "drift = half * beta(t) * (line[:, 0] + (1 - k)"),
        ("(1 + k) / 2 * b * denoiser.score(x, t))", "(1 + k) * b * denoiser.score(x, t))"),  # the half is lost
        ("math.sqrt(k * b * h) * torch.randn", "k * math.sqrt(b * h) * torch.randn"),  # k, not its root
        ("** 2 * V + k * b * h", "** 2 * V + k * b * h * h"),
        ("return alpha, sigma**2  ", "return alpha, sigma  "),  # VP, not sub-VP
        ("sigma * c / (c**2 + sigma**2) ** 0.5", "sigma / (c**2 + sigma**2) ** 0.5"),
        ("return k / m + (1 - k / m)", "return k / m + (1 + k / m)"),
        ("math.sqrt(high**2 - now**2) * torch.randn", "(high - now) * torch.randn"),  # variances add, not deviations
        ("(then - high) * (first + slope(", "(then - now) * (first + slope("),
        ("+ math.sqrt(two * delta) * torch.randn", "+ math.sqrt(delta) * torch.randn"),
        ("return skip * x / alpha + out *", "return skip * x + out *"),
        ("-float(schedule.alpha(1.0).log())", "-float(schedule.alpha_bar(1.0).log())"),
    ),
    *notebook(
        "2-score/2.2-kernel-regression",
        ("(sigma**4 / alpha**2)[:, 0]", "(sigma**4 / alpha)[:, 0]"),  # the weight of equation (2)
        ("- crowd) - square(random_answer(s) - target)", "- crowd) + square(random_answer(s) - target)"),
        ("return dot * (math.pi - theta) / (2 * math.pi)", "return dot * (math.pi - theta) / math.pi"),
        ("share = -torch.expm1(tau * torch", "share = -torch.expm1((tau - 1) * torch"),
        ("f = (X @ w.T * on) @ a / m**power", "f = (X @ w.T * on) @ a / m"),
        ("torch.cat([a, -a])", "torch.cat([a, a])"),  # no twins: the network does not start at 0
        ("for labels in (Y, F))", "for labels in (Y, Y))"),  # the control is as noisy as the rest
        ("1 / (2 * math.e * sigma * total)", "1 / (2 * math.e * sigma * total**2)"),
        # cross-validation on what was trained on
        (
            "square(KH @ kernel_gd(K, Y[~hidden], tau, eta) - Y[hidden])",
            "square(K @ kernel_gd(K, Y[~hidden], tau, eta) - Y[~hidden])",
        ),
        ('noised(Y, rng.spawn("fresh", step))', 'noised(Y, rng.spawn("fresh"))'),
        ("return kernel_gd(K, Y - F0, tau, eta)", "return kernel_gd(K, Y, tau, eta)"),
    ),
    *notebook(
        "2-score/2.4-gauge-freedom",
        ("lambda s: A @ precision(s)", "lambda s: precision(s) @ A"),  # the factors in the other order
        ("(eye + h / 2 * field(a))", "(eye + h * field(a))"),  # no midpoint
        ("- change - normal(0 * starts, late)", "+ change - normal(0 * starts, late)"),  # sign of the divergence
        ("(1 / values[:, None] + 1 / values)", "(values[:, None] + values)"),  # eigenvalues for their inverses
        ("return (P @ C * Q).sum", "return (P * Q).sum"),  # forgets the data's covariance
        ("h * grad @ Y_mid", "h * grad @ Y"),  # Euler for Y
        ("(sigmas[-1] / sigmas[-1 - back]).log()", "(sigmas[-1 - back] / sigmas[-1]).log()"),  # slopes upside down
        ("torch.cat([-x[:, 1:2], x[:, :1]", "torch.cat([x[:, 1:2], x[:, :1]"),  # a squeeze for a turn
        ("0.3 / s**2)", "0.3 / s)"),  # the violent gauge is tamed
        ("k = radius / s**2\n", "k = radius / s\n"),  # noise for its square in the posterior
        ("if self.gradient else psi", "if not self.gradient else psi"),  # the two networks are swapped
        ("(guess(x, s) - x0) ** 2", "(guess(x, s) - x) ** 2"),  # learns to keep the noise
    ),
    *notebook(
        "3-subspaces/3.1-low-rank-mixtures",
        ("term = math.log(sigma**2 / (", "term = math.log(sigma / ("),  # the dimension term with sigma for its square
        ("phi = alpha**2 / (2 * sigma**2 * (alpha", "phi = alpha**2 / (sigma**2 * (alpha"),  # the half of the exponent
        ("U.shape[1] / 2 * term + phi", "U.shape[1] * term + phi"),  # d for d / 2
        ("return r * (2 - r)\n", "return r**2\n"),  # the cross term of the square is lost
        ("(sigma / (1 + sigma**2)) ** 2", "sigma**2 / (1 + sigma**2)"),  # a for a squared in the constant
        ("/ (2 * sigma**2 * (1 + sigma**2))).softmax(-1)", "/ (2 * sigma**2)).softmax(-1)"),  # phi without 1 + sigma^2
        ("xt, U, s: hard(few, U).expand(len(xt), -1, -1)", "xt, U, s: hard(xt, U)"),  # chosen from the noisy point
        ("torch.tensor([1.5, 1, 1])", "torch.tensor([1.0, 1, 1])"),  # a control that breaks nothing
        ("soft(xt, U, sigma)) - x0)", "soft(xt, U, sigma)) - xt)"),  # trained towards the noisy point
        ("full_matrices=False).Vh[:, None, :d].mT", "full_matrices=False).Vh[:, None, -d:].mT"),  # least directions
        (
            ".eigenvectors[..., -bases.shape[-1]:]",
            ".eigenvectors[..., :bases.shape[-1]]",
        ),  # KSS refits to the least directions
        ("linalg.qr(best + shift).Q", "linalg.qr(start + shift).Q"),  # the second training does not start near KSS
        ("U.copy_(torch.linalg.qr(U).Q)", "U.copy_(U)"),  # columns are never made orthonormal again
    ),
    *notebook(
        "3-subspaces/3.2-phase-transition",
        ("2 * (d - N) * (n - d) / (n - N)", "2 * (d - N) * (n - d) / n"),  # the fill-in drawn from all of space
        ("full_matrices=False).Vh[:, :d].mT     #", "full_matrices=False).Vh[:, -d:].mT     #"),  # any d directions
        ("rank or d, stream)", "rank or d + 1, stream)"),  # a model of the wrong rank
        ("part.S[:, d:].square()", "part.S[:, d + 1 :].square()"),  # subspaces of d + 1 dimensions
        ("repeat=points - 1)", "repeat=points - 2)"),  # a point is left out
        ("todo = todo[fit.residual > 1e-9", "todo = todo[fit.residual < 1e-9"),  # restarts what is solved
        ("fit = subspaces.kss(x[todo], k, d,", "fit = subspaces.kss(x[todo], k, d + 1,"),
        ("return torch.stack([row[d + shift - 1, what]", "return torch.stack([row[d + shift, what]"),  # off by one
        ("draw(48, 2, d, d - 1, 100,", "draw(48, 2, d, d + 1, 100,"),  # duplicates of enough points
        ("(x @ x[:, :1].mT).abs() > 1e-9", "(x @ x[:, :1].mT) > 1e-9"),  # orthogonal is not "no positive product"
        ("(alpha * eps - sigma * x0)", "(alpha * eps + sigma * x0)"),  # sign of v
        ("torch.cdist(y, x).amin(1).median() / torch", "torch.cdist(y, y).amin(1).median() / torch"),  # to itself
        ("(math.factorial(d) ** k * math.factorial(k))", "math.factorial(d) ** k"),  # groups with names
        (".max() for order in itertools", ".mean() for order in itertools"),  # hides the subspace that was missed
    ),
    *notebook(
        "1-ddpm/1.3-training",
        (
            "closed = left * c2 / (left * c2 + 1 - left)",
            "closed = left * c2 / (left * c2 + (1 - left).sqrt())",
        ),  # a root too many
        (
            "by_variance = (table.snr(t) * mixture",
            "by_variance = (table.snr(t).sqrt() * mixture",
        ),  # floor: alpha / sigma, not its square
        ("(eps.roll(1, 0) if shuffle else eps)", "(eps if shuffle else eps.roll(1, 0))"),  # noise of the neighbour
        (
            "net(scale[i] * x0 + noise[i] * eps, i, y)",
            "net(scale[i] ** 2 * x0 + noise[i] ** 2 * eps, i, y)",
        ),  # no square roots
        ("        adam.zero_grad()\n", ""),  # gradients pile up
        (
            "source) < p_null, classes, labels[some])",
            "source) > p_null, classes, labels[some])",
        ),  # keeps what it should drop
        ("        ema.update(net)\n", ""),  # the average never moves
        ("for a, b in pairs)", "for a, b in pairs[::-1])"),  # loss and size swapped
        ("v = eta**2 * (sigma_s / sigma) ** 2", "v = eta**2 * (sigma_s / sigma)"),  # standard deviations for variances
        ("(sigma_s**2 - v).clamp(min=0).sqrt() * eps", "sigma_s * eps"),  # fresh noise on top of all the old
        ("max(i + row_is, 1) / 1000", "max(i + row_is - 1, 1) / 1000"),  # a row early
        ('same | {"clip_sample": False})', "same)"),  # diffusers' default
    ),
    *notebook(
        "1-ddpm/1.6-how-good-is-a-sample",
        ("- 2 * cross)", "- cross)"),
        # a map that arrives, but not the cheapest
        ("return back @ root(half @ b.cov @ half) @ back", "return root(b.cov) @ back"),
        # each pair counted four times
        ("lam.sum() + 0.5 * (pairs", "lam.sum() + 2 * (pairs"),
        # the floor stays in
        ("(moved - level) / 0.04", "moved / 0.04"),
        # the percentile interval
        ("(2 * estimate - high, 2 * estimate - low), (low, high)", "(low, high), (low, high)"),
        # resampled without replacement: always the same set
        (
            'torch.randint(len(features), (500,), generator=rng.spawn("again", *key))',
            'torch.randperm(len(features), generator=rng.spawn("again", *key))[:500]',
        ),
        ("(metrics.kid, with_diagonal)", "(with_diagonal, with_diagonal)"),
        ("copies[:100].repeat(20, 1)", "copies[:1000].repeat(2, 1)"),
        # clipped after all
        ("fd(net.features((X + 0.1 * noise)[:1000]))", "fd(look((X + 0.1 * noise)[:1000]))"),
        ("< 1 / 3", "< 1"),
        # climbs away from the target
        ("tuned - step * slope.sign()", "tuned + step * slope.sign()"),
        # more haze instead of none
        ("torch.where(made < -0.95, -1.0, made)", "torch.where(made < -0.95, -0.95, made)"),
        ("metrics.psnr(quick, best), metrics.psnr(lazy, best)", "metrics.psnr(lazy, best), metrics.psnr(quick, best)"),
    ),
    *notebook(
        "2-score/2.1-score-matching",
        (
            "(keep * trace(field, grid) + 0.5 * square(field(grid)))",
            "(keep * trace(field, grid) + square(field(grid)))",
        ),  # (1) without the half
        (
            "stein, scatter = tr + length2,",
            "stein, scatter = tr + 0.5 * length2,",
        ),  # Stein's identity with the half of (1)
        ("{keep: -keep / x.square().mean()", "{keep: -keep / x.abs().mean()"),  # standard deviation for variance
        ("both, diagonal = 2 * square", "both, diagonal = square"),  # variance of a normal probe without its 2
        (
            '"nii->n", plane.cov(noisy, when(0.3))).mean() / 0.3**4',
            '"nii->n", plane.cov(noisy, when(0.3))).mean() / 0.3**2',
        ),  # floor of x0, not of the score
        (
            "(x + sigma2**0.5 * eps) + eps / sigma2**0.5",
            "(x + sigma2**0.5 * eps) - eps / sigma2**0.5",
        ),  # wrong sign of the target
        (
            "0.5 * square((clean + eps) @ A.T + b + eps) - A.trace()",
            "square((clean + eps) @ A.T + b + eps) - A.trace()",
        ),  # DSM for DSM / 2
        ("(torch.eye(2) + sigma**power * J)", "(torch.eye(2) - sigma**power * J)"),  # Tweedie's covariance with a sign
        (
            "return y + sigma**power * score(y, sigma).detach()",
            "return y - sigma**power * score(y, sigma).detach()",
        ),  # downhill
        (
            "spread = ((s - field(x)) * eps).sum(1) / sigma",
            "spread = ((s - field(x)) * eps).sum(1)",
        ),  # difference, not a slope
        ("spread = ((s - field(x)) * eps).sum(1) / sigma", "spread = (s * eps).sum(1) / sigma"),  # no control variate
        ("return 0.5 * square(s + eps / sigma)", "return 0.5 * square(s - eps / sigma)"),  # towards the noise
        ("create_graph=True)[0] * v).sum(1)", "create_graph=True)[0]).sum(1)"),  # v J, not v J v
        ("eps.roll(1, 1)), eps.roll(1, 1)", "eps), eps"),  # the control is not shuffled
        ("t=when(at))[0]", "t=when(0.2))[0]"),  # every fit judged on the same points
    ),
    *notebook(
        "3-subspaces/3.3-jacobians-editing",
        ("(J - alpha / sigma**power * truth.cov", "(J - alpha**2 / sigma**power * truth.cov"),  # alpha, not squared
        ("subspaces.random_bases(2, 48, 7,", "subspaces.random_bases(2, 48, 8,"),  # d
        ('train("v", 0)', 'train("x0", 0)'),  # no left arm
        ('train("x0", 2)', 'train("eps", 2)'),  # the flat one has an arm
        ("v = torch.func.vjp(f, x)[1](v)[0] if back else v", "v = v if back else torch.func.vjp(f, x)[1](v)[0]"),
        (
            "torch.linalg.svd(J)[2][:, :5].double(), y)",
            "torch.linalg.svd(J)[2][:, -5:].double(), y)",
        ),  # trailing vectors
        ("each[torch.arange(len(y)), :, y].mean()", "each[torch.arange(len(y)), :, 1 - y].mean()"),  # the other cluster
        ("arrives(torch.linalg.svd(J)[2][:, 0])", "arrives(torch.linalg.svd(J)[2][:, -1])"),
        ('{"top five": V,', '{"top five": V.roll(1, 0),'),  # another picture's directions
        ("labels = held.argmax(1)", "labels = held.argmin(1)"),
        ("linear_sum_assignment(-table)", "linear_sum_assignment(table)"),
    ),
]

MUTANTS = [
    *SCHEDULES,
    *DENOISERS,
    *EXACT,
    *SAMPLERS,
    *STOCHASTIC,
    *TRAINING,
    *DISTANCES,
    *SHIPPED,
    *SUBSPACES,
    *JACOBIANS,
    *BIAS_FREE,
    *PROCEDURAL,
    *NOTEBOOKS,
]
