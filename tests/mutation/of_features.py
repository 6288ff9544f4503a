"""Breakages of the features inside a network, of the adversarial pair, and of notebook 5.5."""

from mutant import library, notebook

NOTEBOOK_55 = notebook(
    "5-classification/5.5-features-inside",
    (
        "for f in inside[t].values()] for t in times])",
        "for f in inside[t].values()] for t in times]).flip(0)",
    ),  # times in the wrong order
    (
        'wrong = y[draws[0]][torch.randperm(1000, generator=rng.spawn("shuffle"))]',
        "wrong = y[draws[0]]",
    ),  # labels not shuffled
    ('compared(rivals["U-Net, chosen cell"], y.roll(1))', 'compared(rivals["U-Net, chosen cell"], y)'),
    ("told(0.4, told=0.001)", "told(0.4, told=0.4)"),  # no mistake at all
    ('("the true label", truth)', '("the true label", truth.roll(1))'),
    ("w = (-held / (1 + sigma**2) / 2 -", "w = (held / (1 + sigma**2) / 2 -"),  # sign of the exponent
    (
        "(xt[:, None] - on) * delta**2 / (delta**2 + sigma**2)",
        "(xt[:, None] - on) * delta / (delta + sigma)",
    ),  # deviations for variances
    (
        "own = held.gather(1, k[:, None]).mean()",
        "own = held.gather(1, k[:, None].roll(1, 0)).mean()",
    ),  # another class's subspace
    ("return float((Y.T @ X).square().sum() / (", "return float((Y.T @ X).abs().sum() / ("),
    ("mixed = cells.gather(2, places.expand_as(cells)).view_as(maps)", "mixed = maps"),
    ('"random U-Net": features.pooled(cell(untrained), 2)}', '"random U-Net": features.pooled(maps, 2)}'),
    ("b in (back, back.roll(1, 0)))", "b in (back.roll(1, 0), back))"),
    ("return d * on / (c * on + (d - c) * off)", "return d * on / (c * on + d * off)"),
    ("        handle.remove()\n", "        pass\n"),
    ("np.subtract(early(0.1), early(0.001))", "np.subtract(early(0.001), early(0.1))"),  # noise helps the wrong end
    ('for b in ("entry", "up.0", "up.1")}', 'for b in ("up.0", "up.3", "out")}'),  # blocks that the picture leaves by
    ("gan.generate(codes / 2)", "gan.generate(codes)"),  # no control left
    ("control=cka(plain, last))", 'control=cka(inner["mid"], last))'),  # no random weights
)
OF_FEATURES = [
    *library(
        "features",
        "tests/unit/test_features.py",
        ("            hook.remove()\n", "            pass\n", "test_nothing_is_left_behind"),
        ("t if told is None else told, label)", "t, label)", "test_labels_told_times_and_clean_pictures_are_passed_on"),
        (
            "denoiser(part, t if told is None else told, label)",
            "denoiser(part, t if told is None else told)",
            "test_labels_told_times_and_clean_pictures_are_passed_on",
        ),
        ("if noisy else x0\n", "\n", "test_labels_told_times_and_clean_pictures_are_passed_on"),
        (
            "F.adaptive_avg_pool2d(activation,",
            "F.adaptive_max_pool2d(activation,",
            "test_pooling_means_over_equal_cells",
        ),
        ("(train - mean) / scale, labels)", "train, labels)", "test_a_probe_standardises_and_counts_what_is_right"),
        (
            "nn.init.kaiming_normal_(weight, generator=generator)",
            "pass",
            "test_random_weights_keep_the_structure_and_the_way_of_asking",
        ),
    ),
    *library(
        "zoo/adversarial",
        "tests/unit/test_adversarial.py",
        ("(F.relu(1 - real) + F.relu(1 + made))", "(F.relu(1 + real) + F.relu(1 - made))", "test_the_losses_by_hand"),
        ("return (real - made).sum(1).mean()", "return (made - real).sum(1).mean()", "test_the_losses_by_hand"),
        ("        net.critic.requires_grad_(True)\n", "", "test_both_players_move_and_the_critic_learns"),
        ("            ema.update(net)\n", "            pass\n", "test_a_resumed_run_ends_in_the_same_weights"),
    ),
]
