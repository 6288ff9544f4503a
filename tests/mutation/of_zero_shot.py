"""Breakages of the contrastive rival, the minimal pairs, and the checks of notebook 5.4."""

from mutant import library, notebook

_ORDERED = "test_the_order_of_words_matters_unless_it_is_a_bag"
_KINDS = "test_what_the_kinds_change"
_NOISE = "test_noise_is_shared_within_a_pair_and_fresh_noise_is_not"
_PARTNERS = "test_partners_have_the_same_words_and_are_told_apart_by_their_order_alone"
_LOG2 = "test_without_order_the_loss_on_partners_stays_above_log_2"
_NAMED = "test_wrong_scores_of_captions_are_named"
_POSTERIORS = "test_wrong_posteriors_are_named"

OF_ZERO_SHOT = [
    *library(
        "networks/dual_encoder",
        "tests/unit/test_dual_encoder.py",
        ("captions.sort(1, descending=True).values", "captions", _ORDERED),
        ("ordered=ordered)", "ordered=True)", _ORDERED),
        (
            "(words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)",
            "words.mean(1)",
            "test_padding_is_invisible",
        ),
        (
            "return F.normalize(self.eye(x.contiguous()), dim=1)",
            "return self.eye(x.contiguous())",
            "test_size_shapes_and_unit_vectors",
        ),
        (".clamp(max=COLDEST)", "", "test_the_scale_is_learned_up_to_a_limit"),
    ),
    *library(
        "zoo/contrast",
        "tests/unit/test_dual_encoder.py",
        ("F.cross_entropy(logits.T, pairs)", "F.cross_entropy(logits, pairs)", "test_info_nce_in_closed_form"),
        ('Rng(seed).spawn("words", step)', 'Rng(0).spawn("words", step)', "test_the_loss_is_a_function_of_the_step"),
        ("range(step * batch, (step + 1) * batch)", "range(batch)", "test_the_loss_is_a_function_of_the_step"),
        ("for things in (made.things, others):", "for things in (made.things, made.things):", _PARTNERS),
        ("partners(2 * step * batch, batch // 2)", "partners(0, batch // 2)", _LOG2),
    ),
    *library(
        "zoo/zero_shot",
        "tests/unit/test_zero_shot.py",
        (
            "told = (b, a)",
            "told = (a, b)",
            f"{_KINDS} test_each_caption_is_true_of_its_picture_and_not_of_the_other",
        ),
        ("exchanged(a, b) if kind", "(a, b) if kind", _KINDS),
        (" or {(b.colour, a.shape), (a.colour, b.shape)} & {*scenes.HELD_OUT}:", ":", _KINDS),
        ("made.eps.repeat_interleave(2, 0)", "made.eps.repeat(2, 1, 1, 1, 1)", _NOISE),
        ('"fresh", kind)', '"pairs", kind)', _NOISE),
    ),
    *library(
        "checks/__init__",
        "tests/checks/test_diffusion_classifier.py",
        ("off = abs(float(eps.mean())), abs(", "off = 0, abs(", "test_wrong_races_are_named"),
        ("abs(float(eps.square().mean()) - 1) / 2**0.5", "0", "test_wrong_races_are_named"),
        ("require(max(off) < far,", "require(min(off) < far,", "test_wrong_races_are_named"),
    ),
    *library(
        "checks/bayes",
        "tests/checks/test_bayes.py",
        ("require(inside, name", "require(True, name", _POSTERIORS),
        ("require(len(z) == 5 * classes * 8, name", "require(True, name", _POSTERIORS),
        ("require(not _same(fresh, few), name", "require(True, name", _POSTERIORS),
    ),
    *library(
        "checks/zero_shot",
        "tests/checks/test_zero_shot.py",
        ("None not in told and null not in told", "True", _NAMED),
        ("all(torch.allclose(a, b) for (_, a), (_, b)", "all(True for (_, a), (_, b)", _NAMED),
        ("text & image))", "text | image))", "test_chances_of_random_scores"),
        ("torch.equal(got, again)", "True", _NAMED),
    ),
]

NOTEBOOK_54 = notebook(
    "5-classification/5.4-zero-shot-scenes",
    ("return -table.mean(2)", "return table.mean(2)"),  # the worst caption wins
    ("classify.Draws(few.t, few.eps[:6])", "classify.Draws(few.t, few.eps[6:12])"),  # other noise than stored
    ("words[6:13].roll(1, 0)", "words[6:13].roll(7, 0)"),  # no word is renamed
    ("(colour, shape) not in scenes.HELD_OUT", "(shape, colour) not in scenes.HELD_OUT"),  # nothing is held out
    ("for places in ([1, 5], [2, 6]):", "for places in ([1, 5],):"),  # shapes keep their order
    (
        "(s[:, 0, 0] > s[:, 0, 1]) & (s[:, 1, 1] > s[:, 1, 0]))",
        "(s[:, 0, 0] >= s[:, 0, 1]) & (s[:, 1, 1] >= s[:, 1, 0]))",
    ),
    (
        'swaps["relation.fresh"].double()], 1)',
        'tables["relation"][:, 1]], 1)',
    ),  # the noise is shared after all
    ("own=True, batch=112)", "own=True, batch=112).flip(1)"),  # captions exchanged under new noise
    ("guess[:, :4].mean(1)", "guess[:, 0]"),  # one order in place of four
    ("d = (table[:, 1] - table[:, 0])", "d = (table[:, 0] - table[:, 1])"),  # the sign of the evidence
    ("for part in (d, d / snr))", "for part in (d, d * snr))"),  # the wrong way from noise to picture
    ("argsort(descending=True)", "argsort()"),  # the quietest first
    ("stages, keep, both = (1, 4, 16), (6, 2, 1)", "stages, keep, both = (1, 2, 3), (3, 2, 1)"),  # greedy
)
