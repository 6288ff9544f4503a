"""Stored tables hold what their functions say, and a part of each can be made again."""

import math

import torch

from denoising import classify, datasets, guidance, samplers, zoo
from denoising.denoisers import add_noise
from denoising.rng import Rng
from denoising.zoo import errors, experts, tables


class TestGuidanceGrid:
    """500 samples a strength, from the same noises."""

    def test_what_is_measured_is_what_is_stored(self):
        stored = zoo.table("guidance_grid")
        x = tables.from_bytes(stored["images"][3])
        assert (zoo.features(x) - stored["features"][3, :80].float()).abs().max() < 1e-2  # stored in half precision
        clean = torch.where(x < -0.95, -1.0, x)
        assert (zoo.features(clean) - stored["features_clean"][3, :80].float()).abs().max() < 1e-2
        assert torch.equal(zoo.classify(x), stored["judged"][3, :80].long())

    def test_a_sample_is_made_again_from_its_noise_and_label(self):
        stored, (noise, y) = zoo.table("guidance_grid"), tables.guidance_start(500)
        pick = torch.tensor([0, 13])
        unet = zoo.denoiser("fashion_unet")
        guided = guidance.ClassifierFree(unet, float(stored["s"][3]))
        times = samplers.grid(unet.schedule, 20)
        made = samplers.sample(samplers.ddim, guided, noise[pick], times, y=y[pick])
        apart = (
            (tables.to_bytes(made).int() - stored["images"][3, pick].int()).abs().max(),
            made.sub(made[:1]).abs().max(),
        )
        assert apart[0] <= 3 and apart[1] > 0.5

    def test_fewer_noises_are_the_first_of_more(self):
        (few, y), (more, _) = tables.guidance_start(3), tables.guidance_start(7)
        assert torch.equal(few, more[:3])
        assert y.tolist() == [0, 1, 2]
        assert len(more.flatten(1).unique(dim=0)) == 7

    def test_bytes_round_trip(self):
        images = torch.arange(256, dtype=torch.uint8)
        assert torch.equal(tables.to_bytes(tables.from_bytes(images)), images)
        assert tables.to_bytes(torch.tensor([-3.0, -1.0, -0.9999, 0.999, 1.0, 2.0])).tolist() == [
            0,
            0,
            0,
            255,
            255,
            255,
        ]
        assert (tables.from_bytes(images[[0, 255]]) == torch.tensor([-1.0, 1.0])).all()


class TestFashionGuides:
    """A clean classifier as a guide: as it is, smoothed, adapted on the model's own samples."""

    def test_the_stored_adapters_are_six_and_read_noise_that_the_guide_cannot(self):
        stored = zoo.table("fashion_experts")
        nets = experts.adapted(stored)
        assert [len(nets[name]) for name in ("expert", "single")] == [5, 1]
        test, t = datasets.load("fashion-T"), 0.3
        x0, y = test.x[::5], test.y[::5]
        x = add_noise(zoo.SCHEDULE, x0, t, torch.randn(x0.shape, generator=Rng(0).spawn("test", t)))
        got = float((nets["expert"][1](x[:100]).argmax(1) == y[:100]).double().mean())
        assert abs(got - float(stored["accuracy"][1, 2])) < 0.12  # a tenth of the pictures it was measured on
        assert stored["accuracy"][1, 2] > stored["accuracy"][1, 0] + 0.3
        assert int(stored["labels"].sum()) == 1000 and int(stored["labels"].min()) > 20

    def test_the_table_holds_every_guide_and_strength(self):
        stored = zoo.table("fashion_guides")
        shape = (len(experts.GUIDES), len(experts.SCALES))
        assert stored["accuracy"].shape == stored["fd64"].shape == shape
        assert stored["images"].shape == (*shape, 20, 32, 32)
        assert stored["accuracy"].max() <= 1 and stored["fd64"].min() > 0

    def test_the_mean_is_shifted_by_the_variance_of_the_step(self):
        schedule, t, u = zoo.SCHEDULE, 0.5, 0.48
        (alpha, sigma), (alpha_u, sigma_u) = schedule.alpha_sigma(t), schedule.alpha_sigma(u)
        added = sigma**2 - (alpha / alpha_u * sigma_u) ** 2
        by_the_wrapper = alpha_u * added / sigma**2 * sigma**2 / alpha  # weight of the guess, times what moves it
        strength = experts.mean_shift(schedule, 3.0, 50)
        assert math.isclose(
            strength(t) * float(by_the_wrapper), 3 * float(added * (sigma_u / sigma) ** 2), rel_tol=1e-9
        )
        assert strength(0.02) == 0

    def test_softplus_tends_to_the_classifier(self):
        net = zoo.load("fashion_clf_guide")
        x = datasets.load("fashion-T").x[:8]
        near, far = ((experts.smooth(net, beta)(x) - net(x)).abs().max() for beta in (300.0, 1.0))
        assert near < 0.2 and far > 5 * near


class TestFashionErrors:
    """Errors of the shared U-Net under every class, for 200 test pictures and four shifts."""

    def test_pictures_take_the_classes_in_turn(self):
        some, test = errors.pictures(20), datasets.load("fashion-T")
        assert some.y.tolist() == [*range(10), *range(10)]
        assert torch.equal(test.y[errors.rows(test, 20)], some.y)
        assert torch.equal(errors.pictures(13).x, some.x[:13])

    def test_a_restored_table_is_what_the_network_says(self):
        unet, stored = zoo.denoiser("fashion_unet"), zoo.table("fashion_errors")
        for shift, name in ((None, "clean"), ("blur", "blur")):
            drawn, x = errors.fashion_draws(shift), errors.pictures(2).x
            x = x if shift is None else errors.shifted(x, shift)
            few = classify.Draws(drawn.t[:3], drawn.eps[:2, :3])
            live = classify.error_table(unet, x, few, torch.arange(10), batch=60)
            table = errors.restored(stored, name)
            assert table.shape == (len(drawn.eps), 10, len(drawn))
            assert (live - table[:2, :, :3]).abs().max() < 0.2  # stored in half precision

    def test_shifts_keep_shape_and_range(self):
        x = errors.pictures(4).x
        changed = {shift: errors.shifted(x, shift) for shift in errors.SHIFTS}
        assert all(one.shape == x.shape and one.abs().max() <= 1 for one in changed.values())
        assert torch.equal(errors.shifted(x[:2], "noise"), changed["noise"][:2])
        assert torch.equal(changed["inverted"], -x) and torch.equal(changed["contrast"], 0.5 * x)
        assert (changed["blur"].var() < x.var()) and changed["blur"][..., 0].eq(-1).all()

    def test_the_classifiers_labels_are_those_of_block_t(self):
        stored, y = zoo.table("fashion_synthetic"), datasets.load("fashion-T").y
        made, real = ((stored[name] == y).double().mean() for name in ("made", "real"))
        assert 0.7 < made < 0.92 and 0.7 < real < 0.92

    def test_features_are_384_numbers_a_picture(self):
        x = errors.pictures(3).x
        assert errors.features(x).shape == (3, 384)
        assert not torch.allclose(errors.features(x), errors.features(x, t=0.3))
