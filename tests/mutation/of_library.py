"""Breakages of the library's foundation."""

# ruff: noqa: E501 (a breakage is one line, however long)

from mutant import library

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
    ("torch.full((batch,), self.num_classes)", "torch.full((batch,), self.num_classes - 1)", "test_no_label_means_the_null_label"),
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
    ("list(net.parameters()), 1 - decay)", "list(net.parameters()), decay)", "test_after_k_updates_the_start_weighs_decay_to_the_k"),
    ("torch.rand(batch, generator=rng) < p_null", "torch.rand(batch, generator=rng) > p_null", "test_times_are_stratified_and_labels_dropped"),
    ("null = len(data.classes)", "null = 0", "test_times_are_stratified_and_labels_dropped"),
    ("part[rank::world]", "part[::world]", "test_shares_of_a_batch_average_to_the_whole"),
    ('Rng(seed).spawn("epoch", epoch)', 'Rng(seed).spawn("epoch")', "test_an_epoch_shows_every_item_once"),
    # labels that belong to other pictures
    ("x0, y = data.x[index], data.y[index]", "x0, y = data.x[index], data.y[:batch]", "test_times_are_stratified_and_labels_dropped"),
    ("(t * num_timesteps - 1).float()", "(t * num_timesteps).float()", "test_times_are_stratified_and_labels_dropped"),
    ("peak * min(1.0, (step + 1) / max(1, warmup)", "peak * min(1.0, step / max(1, warmup)", "test_learning_rate"),
)  # fmt: skip

STATE = library(
    "training_state",
    "tests/unit/test_training.py",
    ('ema.module.load_state_dict(under("ema."))', 'ema.module.load_state_dict(under("net."))', "test_a_resumed_run_ends_in_the_same_weights"),
    ('ema.updates = int(header["step"])', "ema.updates = 0", "test_a_resumed_run_ends_in_the_same_weights"),
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

GENERALISATION = library(
    "checks/generalisation",
    "tests/checks/test_generalisation.py",
    ("want = lam / (lam + sigma**2)\n", "want = lam / (lam + sigma)\n", "test_the_solutions_pass"),
    (
        "top, error = 0.09 * (size + noise), 0.09 * size + 0.49 * noise",
        "top, error = 0.09 * (size + noise), 0.09 * size + 0.09 * noise",
        "test_the_solutions_pass",
    ),
    ("abs(a - b) < 0.05 * abs(b)", "abs(a - b) < 5 * abs(b)", "test_the_solutions_pass"),
    (
        "shrink, shrink, x.clone(), sigma, 0) == 0",
        "shrink, shrink, x.clone(), sigma, 0) >= 0",
        "test_wrong_variances_are_named",
    ),
)
