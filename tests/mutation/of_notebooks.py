"""Breakages of the notebooks: each breaks the idea that the notebook teaches."""

# ruff: noqa: E501 (a breakage is one line, however long)

from mutant import notebook

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
    *notebook(
        "4-guidance/4.1-guidance-exactly",
        ("guidance.Guided(ring, teacher, s)", "guidance.Guided(ring, teacher, -s)"),  # the sign of the gradient
        (
            "return (ours - ring.score(crowd, level(1.0), labels))",
            "return (ours - ring.score(crowd, level(1.0), labels.roll(1)))",
        ),  # labels of other points
        ("return free + s * (given - free)", "return given + s * (given - free)"),  # the (1 + w) convention
        ("return free + s * (given - free)", "return given + s * (free - given)"),  # branches swapped: 1 - s
        ("V = sd**2 + noise", "V = sd**2 + noise**2"),  # the noise level, twice squared
        ("torch.tanh(m * x / V)", "torch.tanh(m * x / sd**2)"),  # the classifier of clean points
        (
            "s * mixture(m, sd).log_posterior(X, 0)[:, 0]",
            "s * mixture(m, sd).log_posterior(X, 0)[:, 1]",
        ),  # the other class
        ("(mixture(m, sd).logp(X) + s *", "(s * mixture(m, sd).logp(X) + s *"),  # a temperature
        ("- weights.cumsum(0) + weights / 2", "+ weights.cumsum(0) - weights / 2"),
        (
            "(x - X.T) ** 2 / (2 * noise)).softmax(1)",
            "(x - X.T) ** 2 / noise).softmax(1)",
        ),  # the factor of two in a Gaussian
        ("log_tilt = tilt(m, sd, s).log()", "log_tilt = s * tilt(m, sd, 1.0).log()"),
        ("(share + s * log_L).logsumexp(1) if", "s * (share + log_L).logsumexp(1) if"),  # the power of the mean twice
        ("guidance.within(s, level(lo), level(hi))", "guidance.within(s, 0.0, 1.0)"),  # no interval
        (
            "x * ((1 - s) * 2 / (2 + noise) + s / (1 + noise))",
            "x * (s * 2 / (2 + noise) + (1 - s) / (1 + noise))",
        ),  # swapped
        (
            "x * ((1 - s) * 2 / (2 + noise) + s / (1 + noise))",
            "x * (-s * 2 / (2 + noise) + (1 + s) / (1 + noise))",
        ),  # w for s
        ("return k * 2**-p *", "return 2**-p *"),
        ("(w - 1) ** (k - 1)", "(w - 1) ** k"),
        ("(2 - 2 ** (2 - 2 * s)) / (2 * s - 1)", "(2 - 2 ** (1 - 2 * s)) / (2 * s - 1)"),
        ('"ODE": [2 ** (1 - s) for s in SET]', '"ODE": [2 ** -s for s in SET]'),
        (
            "wish = torch.arange(200) % 10",
            "wish = torch.arange(200) // 20",
        ),  # the groups of judge are no classes any more
        ("denoiser = guidance.ClassifierFree(data, s)", "denoiser = guidance.ClassifierFree(data, 1 - s)"),
        ("covs.mean(0).repeat(10, 1, 1)", "covs"),  # every digit its own covariance
        (
            'generator=rng.spawn("walk", k))\n    return',
            'generator=rng.spawn("walk", k))\n    walk = samplers.edm_heun(denoiser, start, samplers.grid(clock, 200))\n    return',
        ),  # the ODE in place of the SDE
    ),
    *notebook(
        "4-guidance/4.2-guidance-on-images",
        (
            "return null + s * (unet.eps(x, t, y) - null)",
            "return null - s * (unet.eps(x, t, y) - null)",
        ),  # sign of guidance
        (
            "return null + s * (unet.eps(x, t, y) - null)",
            "return null + (1 + s) * (unet.eps(x, t, y) - null)",
        ),  # w for s
        (
            "return null + s * (unet.eps(x, t, y) - null)",
            "return unet.eps(x, t, y) + s * (unet.eps(x, t, y) - null)",
        ),  # from the class branch
        (
            "return null + s * (unet.eps(x, t, y) - null)",
            "return null + s * (unet.eps(x, t, y.roll(1)) - null)",
        ),  # shuffled labels
        ("guess = (x - sigma * eps) / alpha", "guess = (x - eps) / alpha"),  # sigma forgotten
        ("x = ahead * guess + left * eps", "x = ahead * guess + sigma * eps"),  # the old noise level
        (
            "- s * unet.schedule.sigma(t).to(x) * gradient",
            "+ s * unet.schedule.sigma(t).to(x) * gradient",
        ),  # away from the class
        (
            "- s * unet.schedule.sigma(t).to(x) * gradient",
            "- s * unet.schedule.alpha(t).to(x) * gradient",
        ),  # alpha for sigma
        (
            "weights = noisy(xt, torch.full((60,), t).to(xt)).softmax(1)",
            "weights = noisy(xt, torch.full((60,), t).to(xt)).roll(1, 0).softmax(1)",
        ),  # another picture's posterior
        (
            "null, each = unet.eps(xt, t),",
            "null, each = unet.eps(xt, t, y0.roll(6)),",
        ),  # a wrong class in place of the null branch
        (
            "label, null = unet.eps(x, t), unet.eps(x, t, y)  ",
            "null, label = unet.eps(x, t), unet.eps(x, t, y)  ",
        ),  # nothing swapped
        ('mixed = forty[torch.randperm(40, generator=rng.spawn("shuffle"))]', "mixed = forty"),  # nothing shuffled
        ('judged = (table["judged"] == y)', 'judged = (table["judged"] == y.roll(1))'),  # labels out of step
        (
            "implied, row = (null - each[asked, items])",
            "implied, row = (each[asked, items] - null)",
        ),  # sign of the implied gradient
        ("tidied)), *distances]", "features)), *distances]"),  # haze left in
        ("kept[0] / kept[1], hi=0.65", "kept[0] * kept[1], hi=0.65"),  # contrast multiplied
        ("strength = guidance.within(3.0, 0.2, 0.8)", "strength = guidance.within(3.0, 0.0, 1.0)"),  # no interval
        (
            "factor = unet.schedule.alpha(0.45) / unet.schedule.alpha(0.5)",
            "factor = unet.schedule.alpha(0.5) / unet.schedule.alpha(0.45)",
        ),  # the ratio upside down
    ),
    *notebook(
        "5-classification/5.1-bayes-with-a-denoiser",
        ("(mu + alpha * v / V * off)", "(mu + v / V * off)"),  # equation (2) without alpha
        ("(off**2 / V + V.log())", "(off**2 / V)"),  # responsibilities without the determinant
        ("where = long.t_of_lam(levels / 2)", "where = long.t_of_lam(levels)"),  # lam taken for the log-SNR
        ("torch.trapezoid(error_curves(levels), levels)", "torch.trapezoid(error_curves(levels))"),  # no d log-SNR
        (
            "errors=fill(guess, x, draws, everyone))",
            "errors=fill(guess, x, draws, everyone.flip(0)))",
        ),  # shuffled labels
        ("truth=data.log_posterior(x, 0),", "truth=data.log_posterior(x, 0.5),"),
        ("wrong, wrong_fewer = s.full[:, [1, 0, 2]]", "wrong, wrong_fewer = s.full[:, [0, 1, 2]]"),  # nobody is swapped
        ("for draws in (same, other))", "for draws in (other, same))"),  # a ruler beside other draws
        ('generator=rng.spawn("even", s.d), weighting="t")', 'generator=rng.spawn("even", s.d))'),
        ("rmse(slope(score, truth) * score, truth)", "rmse(slope(truth, score) * score, truth)"),  # scale upside down
        ("right = truth.softmax(1).gather", "right = score.softmax(1).gather"),  # judged by its own confidence
        ("return max(gains, key", "return min(gains, key"),
        ("lattice, draws[c], everyone[c : c + 1])", "lattice, draws[c], everyone[:1])"),
        ("return 20 * d * (alpha2 * v / V)", "return 20 * (alpha2 * v / V)"),  # A of equation (7) without d
        ("truth = -0.5 * (far / v + d * v.log())", "truth = -0.5 * (far / v)"),  # no log-determinant
        ("return d_sigma / sigma - d_alpha / alpha", "return d_sigma / sigma + d_alpha / alpha"),
        ("error[:, c] += (eps - eps_hat(z,", "error[:, -c] += (eps - eps_hat(z,"),
    ),
    *notebook(
        "5-classification/5.2-noise-budget",
        ("self.means[y] + alpha * s2 /", "self.means[y] + s2 /"),  # a guess that is not the best
        ("(alpha * sigma / V) ** 2", "(sigma / V) ** 2"),
        ('rng.spawn("eps", d, 0 if shared else c)', 'rng.spawn("eps", d, c)'),  # never shared
        ("area = torch.trapezoid(b_ * gap, levels)", "area = torch.trapezoid(a * gap, levels)"),
        ("between = b_.var() *", "between = 0 * b_.var() *"),  # the levels' own part of the variance
        ("(d * a + b_ * one[:, None]).var(1)", "(b_ * one[:, None]).var(1)"),  # the square of d
        ("(20 * u - 9) / 2)", "(10 * u - 9) / 2)"),  # half of the range
        ('(first if "time" in way else second).t', '(second if "time" in way else first).t'),
        ('generator = rng.spawn("seed")   ', 'generator = rng.spawn("seed", c)   '),
        (
            "[classify.Draws(sets[0].t, one.eps)",
            "[classify.Draws(sets[0].t, sets[0].eps)",
        ),  # "fresh" noise that is shared
        ('even = full["shared"][:, :, : calls // k]', 'even = full["shared"]'),
        ("truth.softmax(1).gather(1, choice", "p.gather(1, choice"),  # judged by its own confidence
        ("eights.softmax(2).mean(0)", "eights.mean(0).softmax(1)"),  # scores averaged, not posteriors
        ("return 4 * alpha**6 * sigma**2 * s**4", "return 4 * alpha**6 * sigma**2 * s**2"),
        ("math.ceil(var * (width", "math.floor(var * (width"),
    ),
    *notebook(
        "2-score/2.3-memorise-or-generalise",
        ("return (back * y - v * answer).flatten(1)", "return (back * y + v * answer).flatten(1)"),  # sign of (2)
        ("digits[800 : 800 + n]) for n in", "digits[:n]) for n in"),  # the halves are the same digits
        (
            "flat).square() / (2 * sigma**2)",
            "flat).square() / (2 * sigma)",
        ),  # the posterior's weights with sigma for its square
        (
            "net(x + sigma * torch.randn(x.shape, generator=source))",
            "net(x + torch.randn(x.shape, generator=source))",
        ),  # one noise level only
        ("return error, sum(learned) / 2, mse", "return error, sum(learned), mse"),  # a sum for a mean
        ("train[10_000 : 10_000 + n]) for n in SIZES", "train[:n]) for n in SIZES"),  # the pictures of the other half
        ("y - h * d + gamma * z)", "y + h * d + gamma * z)"),  # descends
        ("(1 - beta * h) ** 2 - (1 - h) ** 2)", "(1 - beta * h) - (1 - h))"),  # deviations for variances
        (
            "[ascend(f, start, steps) for f in pairs[n]]",
            "[ascend(f, start, steps) for f in pairs[10]]",
        ),  # always the networks of N = 10
        (
            "[ascend(f, start, steps) for f in pairs[n]]",
            "[ascend(f, start.roll(k, 0), steps) for k, f in enumerate(pairs[n])]",
        ),  # not the same noise
        ("    x = x - x.mean(1, keepdim=True)\n", ""),  # cosines without centring
        ("return error, sigma**2 * trace, rest", "return error, sigma * trace, rest"),  # sigma for its square in SURE
        ("in_errors(2 * trace + rest - error)", "in_errors(2 * trace - rest - error)"),  # sign of the residual
        ("lack = (J - torch.eye(16)) @ basis[0]", "lack = J @ basis[0]"),  # what is kept for what is lacking
        ("vectors.flip(-1).mT", "vectors.mT"),  # values and vectors out of step
        ("torch.eye(5)) - procedural.disc", "torch.eye(5)) + procedural.disc"),  # no difference
        ("lost(shuffled(y)), shuffled(held))", "lost(shuffled(y)), held)"),  # compared in the wrong places
        ("fit(shuffled(digits[:800])", "fit((digits[:800])"),  # nothing is shuffled in training
        ("/ (2 * u.square().sum())", "/ u.square().sum()"),  # against log sigma, not its square
        (
            '"C^α, α = {a}": (zoo.load(f"contours_{a}_blind"), clouds[a]',
            '"C^α, α = {a}": (zoo.load(f"contours_{a}_blind"), clouds[1]',
        ),  # the wrong pictures
    ),
    *notebook(
        "5-classification/5.3-diffusion-classifier",
        (
            "return (errors.mean(2).argmin(1) == labels)",
            "return (errors.mean(2).argmax(1) == labels)",
        ),  # the worst label wins
        ("0 * K + 10, batch=5000)", "K, batch=5000)"),  # a class where the null label should be
        ("permuted = right(table.roll(1, 1))", "permuted = right(table.roll(10, 1))"),  # nothing is permuted
        ("classify.Draws(shared.t, noise(source))", "shared"),  # the bug repaired: nothing is lost
        (
            "classify.Draws(when[c], noise(free))",
            "classify.Draws(when[0], noise(free))",
        ),  # the time is shared after all
        ("shared.t > 0.9", "shared.t < 0.1"),  # the wrong end
        ('fit(eps_loss, 2500, "eps")', 'fit(eps_loss, 2500, "v")'),  # a prediction of noise read as v
        ("stages, keep = (2, 8, 32), (5, 2, 1)", "stages, keep = (1, 2, 32), (3, 2, 1)"),  # greedy
        (
            "classify.Draws(drawn.t, drawn.eps[:20])",
            "classify.Draws(drawn.t, drawn.eps[20:40])",
        ),  # other noise than stored
        ("classify.Draws(drawn.t, eps[[i]])", "classify.Draws(drawn.t, drawn.eps[[i]])"),  # the noise is not fresh
        ("full[:100, :, :8]", "full[100:, :, :8].flip(1)"),  # the labels reversed
        (
            "1000 // n * torch.arange(n) + torch.randint(1000 // n,",
            "0 * torch.arange(n) + torch.randint(1000,",
        ),  # own times at random, not spread evenly
        (
            "torch.randint(1000 // n, (500, n), generator=own)]",
            "torch.randint(1, (500, n), generator=own) + 500 // n]",
        ),  # all classes at the same times after all
        ("argsort()[:16]", "argsort()[-16:]"),  # the worst times for the best
        ("by_time[-16:]", "by_time[:16]"),  # the quietest for the latest
    ),
    *notebook(
        "4-guidance/4.4-half-the-cost",
        # digits
        ("cosine(c, d), (a - b)", "cosine(a, b), (a - b)"),  # no noise space
        ("lambda x: (x - full).square()", "lambda x: (x - start).square()"),  # error to the noise
        ("guidance.within(4.0, lo, hi)", "guidance.within(4.0, 1 - hi, 1 - lo)"),  # early for late
        ('threshold=0.99, space="eps"', 'threshold=0.99, space="x0"'),  # the trap is closed
        ("counted.items / len(x)", "counted.calls / len(x)"),  # counts calls, not rows
        (
            "self.u[k] + 4.0 * (self.c[k] - self.u[k])",
            "self.u[k] + 4.0 * (self.u[k] - self.c[k])",
        ),  # away from the class
        ("for k, u in enumerate(run.u)", "for k, u in enumerate(run.c)"),  # fits the branch that is known
        # ring
        ("cfg(ring, guidance.strength_of_w(w)) if", "cfg(ring, float(w)) if"),  # (1 + w) read as s
        (
            "ring(distillation.ddim_step(noise, at, ring(at, t, kind), t, 0.625), 0.625, kind)",
            "target",
        ),  # no control left
        ("steps=k, batch=192", "steps=2 * k, batch=192"),  # trained on another grid
        ("(x - goal[w]).norm", "(x - goal[0]).norm"),  # compares with another strength
        ("3, 4, at=w) / errors", "3, 4) / errors"),  # never asks for the wrong strength
        (
            'students[f"student-{k}"] = distillation.fitted(copy.deepcopy(teacher).requires_grad_(), loss, steps=400',
            'students[f"student-{k}"] = distillation.fitted(copy.deepcopy(teacher).requires_grad_(), loss, steps=1',
        ),  # stage two left out
        # images
        ("guidance.within(3.0, 0.0, 0.3)", "guidance.within(3.0, 0.3, 1.0)"),  # early for late
        ("cfg(unet, 2)", "cfg(unet, 1)"),  # a teacher without guidance
    ),
    *notebook(
        "4-guidance/4.3-clean-classifier",
        ("clean(digits(x, t))", "clean(digits(x, t / 4))"),  # the guess of another noise level
        ("(guess == y).float() - sure)", "(guess == y).float() + sure)"),  # ECE adds what it should compare
        ("zip(x.split(N), y.split(N))", "zip(x.split(N), (y + 1).split(N))"),  # the next digit's labels
        ("g = torch.autograd.grad(guide(z, t, y).sum(), z)[0]", "g = -torch.autograd.grad(guide(z, t, y).sum(), z)[0]"),
        ("s * (small + bump", "s * (small.sqrt() + bump"),  # standard deviation for variance
        ('"x0": guess, ', '"x0": x, '),  # the gradient at x_t under the other name
        (
            "ratio * shrink, alpha_u * added / sigma**2",
            "ratio, alpha_u * added / sigma**2",
        ),  # keep without its shrinkage
        ("(tau2 * f).logsumexp(1)", "f.logsumexp(1)"),  # both temperatures 1
        ("return answers[rows], noisy(", "return answers[rows.flip(0)], noisy("),  # the answers to other pictures
        ("nets[lora.expert_index(float(t[0]), len(nets))]", "nets[-1 - lora.expert_index(float(t[0]), len(nets))]"),
        ('five("own")', 'five("own", pixels)'),
        ('"smooth": lora.softplus_swap(clean, 3)', '"smooth": lora.softplus_swap(clean, 1000)'),
        ("torch.nn.Softplus(beta))", "torch.nn.Softplus())"),
        ("torch.zeros(conv.out_channels * k, rank * k)", "torch.ones(conv.out_channels * k, rank * k)"),
    ),
]
