"""Breakages of the classifier made of a denoiser."""

from mutant import library

CLASSIFY = library(
    "classify",
    "tests/unit/test_classify.py",
    # pixels of one class under another's name
    (".view(b, len(span), k).mT", ".view(b, k, len(span))", "test_the_table_is_the_error_of_the_noise"),
    ("ratio**2 * off.square()", "ratio * off.square()", "test_the_table_is_the_error_of_the_noise"),
    # every class its own noisy picture
    (
        "denoiser(xt.repeat_interleave(k, 0),",
        "denoiser(xt.repeat(k, *[1] * (x.ndim - 1)),",
        "test_classes_see_the_same_noisy_pictures_and_images_do_not",
    ),
    # without the half; and the prior on the wrong side
    ("score = -0.5 * validate", "score = -1.0 * validate", "test_the_weight_is_half_the_width_of_the_log_snr"),
    ("return score + log_prior.to(score)", "return score - log_prior.to(score)", "test_the_posterior_is_bayes_rule"),
    # levels without an offset; a grid that starts at the first row; draws in order, so that a prefix is one-sided
    ("(order / n + offset)", "(order / n + 0 * offset)", "test_times_cover_the_log_snr_evenly_with_a_random_offset"),
    ("[T // (2 * n) + order * (T // n)]", "[order * (T // n)]", "test_the_grid_in_t_is_the_papers"),
    (
        "list(dict.fromkeys(i * n >> bits for i in reverse))",
        "list(range(n))",
        "test_times_cover_the_log_snr_evenly_with_a_random_offset",
    ),
    ("+ n // 3) % n", "+ 0) % n", "test_the_grid_in_t_is_the_papers"),
    # the candidates of one image asked about another, and captions cut into their words
    (
        "_classes(denoiser, classes.flatten(0, 1)).unflatten(0, classes.shape[:2])",
        "_classes(denoiser, classes.flatten(0, 1)).unflatten(0, classes.shape[:2]).flip(0)",
        "test_each_image_may_have_candidates_of_its_own",
    ),
    (
        "asked[i.to(asked.device)].flatten(0, 1))",
        "asked[i.to(asked.device)].flatten())",
        "test_captions_are_classes_too",
    ),
    # the race
    ("going = (classes, *keep[:-1])", "going = (classes, *keep[1:])", "test_calls_of_a_schedule"),
    (
        "mean.argsort(dim=1, stable=True)",
        "mean.argsort(dim=1, stable=True, descending=True)",
        "test_a_race_drops_who_is_behind_and_does_not_look_back",
    ),
    ("table[:, :, :stop].mean(2)", "table[:, :, stop - 1]", "test_a_race_drops_who_is_behind_and_does_not_look_back"),
    ("sent + new.numel()", "sent + len(new)", "test_the_real_race_asks_only_survivors"),
    ("Result(classes[alive[:, 0]]", "Result(alive[:, 0]", "test_the_real_race_asks_only_survivors"),
    ("if keep[-1] != 1 or", "if keep[-1] < 1 or", "test_bad_schedules_are_named"),
    ("known + 1)", "known)", "test_null_label_is_a_class_too"),
)

ERRORS = library(
    "zoo/errors",
    "tests/unit/test_tables.py",
    (
        "data.y[some], data.classes)",
        "data.y[: len(some)], data.classes)",
        "TestFashionErrors::test_pictures_take_the_classes_in_turn",
    ),
    (
        '.mean"].double()[:, None] + ',
        '.mean"].double()[:, None] - ',
        "TestFashionErrors::test_a_restored_table_is_what_the_network_says",
    ),
    ("return x / 2", "return x * 2", "TestFashionErrors::test_shifts_keep_shape_and_range"),
    (
        '.spawn("fashion_errors", shift)',
        '.spawn("fashion_errors")',
        "TestFashionErrors::test_a_restored_table_is_what_the_network_says",
    ),
)

CHECKS_53 = library(
    "checks/diffusion_classifier",
    "tests/checks/test_diffusion_classifier.py",
    ("    _same_noise(name, net,", "    0 and _same_noise(name, net,", "test_wrong_races_are_named"),
    ("require(calls == want,", "require(True,", "test_wrong_races_are_named"),
    (
        "all(_close(history[c][: stages[0]], repeats[c]) for c in history)",
        "True",
        "test_wrong_races_are_named",
    ),
)
