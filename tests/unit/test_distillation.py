"""Guided distillation: the target, both losses, the networks that are told the strength, and the shipped student."""

import copy
from dataclasses import replace

import pytest
import torch

from denoising import exact, guidance, samplers, zoo
from denoising.datasets import Images
from denoising.denoisers import NetworkDenoiser
from denoising.networks.guided_unet import AtStrength, GuidedMLP, GuidedUNet, strength_features
from denoising.networks.unet import UNet
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine
from denoising.zoo import distillation, recipes, ship

N = 32
SCHEDULE = Cosine()
PAIR = exact.GaussianMixture(
    torch.tensor([[-1.0, 0.0], [1.0, 0.5]]), 0.1 * torch.eye(2).expand(2, 2, 2), schedule=SCHEDULE
)
Y = torch.arange(N) % 2
X = torch.randn((N, 2), generator=Rng(0)).double()
DATA = Images(PAIR.sample(64, generator=Rng(1))[0], torch.arange(64) % 2, ("a", "b"))


def net(seed=0):
    return GuidedMLP(width=16, num_classes=2).start(Rng(seed))


def small_unet(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(channels=(8, 16, 16), heads=2, emb=16, **options)


# The target --------------------------------


@pytest.mark.parametrize("schedule", [Cosine(), EDM()])
@pytest.mark.parametrize(("t", "t_end"), [(1.0, 0.75), (0.5, 0.25), (0.25, 0.0)])
def test_one_step_with_the_target_lands_where_two_steps_do(schedule, t, t_end):
    model = exact.GaussianMixture(PAIR.means, 0.1 * torch.eye(2).expand(2, 2, 2), schedule=schedule)
    landed = distillation.two_steps(lambda x, t: model(x, t, Y), schedule, X, t, t_end)
    target = distillation.one_step_target(schedule, X, t, landed, t_end)
    assert torch.allclose(distillation.ddim_step(schedule, X, target, t, t_end), landed, atol=1e-9)
    assert t_end or torch.equal(target, landed)
    two = samplers.last(samplers.ddim(model, X, torch.tensor([t, (t + t_end) / 2, t_end]), y=Y))
    assert torch.allclose(two, landed, atol=1e-9)


def test_a_teacher_with_one_guess_has_that_guess_as_target():
    constant = torch.tensor([0.3, -0.7]).double().expand_as(X)
    landed = distillation.two_steps(lambda x, t: constant, SCHEDULE, X, 0.8, 0.4)
    assert torch.allclose(distillation.one_step_target(SCHEDULE, X, 0.8, landed, 0.4), constant)


def test_items_have_times_of_their_own():
    t, t_end = torch.linspace(0.2, 1, N).double(), torch.linspace(0, 0.5, N).double()
    got = distillation.two_steps(lambda x, t: PAIR(x, t, Y), SCHEDULE, X, t, t_end)
    target = distillation.one_step_target(SCHEDULE, X, t, got, t_end)
    for i in (0, 7, N - 1):
        row = slice(i, i + 1)
        alone = distillation.two_steps(
            lambda x, t, row=row: PAIR(x, t, Y[row]), SCHEDULE, X[row], float(t[i]), float(t_end[i])
        )
        assert torch.allclose(alone, got[row])
        assert torch.allclose(
            distillation.one_step_target(SCHEDULE, X[row], float(t[i]), alone, float(t_end[i])), target[row]
        )


# The losses --------------------------------


class Teacher(torch.nn.Module):
    """The exact guided teacher as a network that predicts v and is told w."""

    def forward(self, x, timestep, labels, w):
        t = (timestep.double() + 1) / 1000
        any_class, told = PAIR(x, t), PAIR(x, t, labels)
        alpha, sigma = (scale.to(x).view(-1, 1) for scale in SCHEDULE.alpha_sigma(t))
        return (alpha * x - (any_class + (1 + w.to(x)[:, None]) * (told - any_class))) / sigma


def test_the_guided_teacher_itself_has_no_folding_loss():
    loss = distillation.fold_loss(DATA, PAIR, batch=N, seed=0)
    assert float(loss(Teacher(), 3)) < 1e-6 < 0.01 < loss(net(), 3).item()


def test_an_error_of_v_weighs_between_a_half_and_one():
    class Off(Teacher):
        def forward(self, x, timestep, labels, w):
            return super().forward(x, timestep, labels, w) + 1

    t = 1 - (torch.arange(N) + 0.5) / N
    alpha, sigma = SCHEDULE.alpha_sigma(t)
    want = float(torch.maximum(alpha**2, sigma**2).mean())  # of the stratified times, up to their jitter
    got = float(distillation.fold_loss(DATA, PAIR, batch=N, seed=0)(Off(), 3))
    assert 0.5 < got < 1 and got == pytest.approx(want, abs=0.02)


def test_strength_w_is_the_course_s_of_1_plus_w():
    loss = distillation.fold_loss(DATA, PAIR, batch=N, seed=0, w_max=0.0)  # w = 0 is plain conditional sampling

    class Plain(torch.nn.Module):
        def forward(self, x, timestep, labels, w):
            return PAIR.v(x, (timestep.double() + 1) / 1000, labels)

    assert float(loss(Plain(), 0)) < 1e-6
    sampled = distillation.student_at(Teacher(), 2.0, SCHEDULE, num_classes=2)
    sampled.net.forward = lambda x, t, y: Teacher()(x, t, y, torch.full((len(x),), 2.0))
    got, want = sampled(X, 0.5, Y), guidance.ClassifierFree(PAIR, guidance.strength_of_w(2.0))(X, 0.5, Y)
    assert torch.allclose(got, want, atol=1e-5)


def test_halving_compares_with_two_steps_of_the_teacher():
    teacher, steps = Teacher(), 4

    class Two(torch.nn.Module):
        def forward(self, x, timestep, labels, w):
            t = (timestep.double() + 1) / 1000
            assert torch.allclose(t * steps, (t * steps).round(), atol=1e-4)  # on the student's grid only
            t = (t * steps).round() / steps
            guess = NetworkDenoiser(lambda *inputs: teacher(*inputs, w), SCHEDULE, num_classes=2)
            landed = distillation.two_steps(lambda x, now: guess(x, now, labels), SCHEDULE, x, t, t - 1 / steps)
            target = distillation.one_step_target(SCHEDULE, x, t, landed, t - 1 / steps)
            alpha, sigma = (scale.to(x).view(-1, 1) for scale in SCHEDULE.alpha_sigma(t))
            return (alpha * x - target) / sigma

    loss = distillation.halve_loss(DATA, teacher, SCHEDULE, steps=steps, batch=N, seed=0)
    assert float(loss(Two(), 1)) < 1e-5 < 1e-3 < float(loss(Teacher(), 1))


def test_the_losses_draw_from_the_step_and_the_seed_alone():
    for make in (
        lambda seed: distillation.fold_loss(DATA, PAIR, batch=8, seed=seed),
        lambda seed: distillation.halve_loss(DATA, net(1), SCHEDULE, steps=4, batch=8, seed=seed),
    ):
        a, b = make(0), make(0)
        b(net(), 5)
        assert a(net(), 3).item() == b(net(), 3).item() != a(net(), 4).item()
        assert make(1)(net(), 3).item() != a(net(), 3).item()


def test_misuse_of_the_losses_is_named():
    student = net()
    with pytest.raises(ValueError, match="teacher: expected a frozen copy"):
        distillation.halve_loss(DATA, student, SCHEDULE, steps=4, batch=8, seed=0)(student, 0)
    with pytest.raises(ValueError, match="world: expected 1 process"):
        distillation.fold_loss(DATA, PAIR, batch=8, seed=0)(student, 0, world=2)
    with pytest.raises(ValueError, match="steps"):
        distillation.halve_loss(DATA, student, SCHEDULE, steps=0, batch=8, seed=0)


def test_the_teacher_stays_frozen():
    teacher = net()
    before = copy.deepcopy(teacher.state_dict())
    student = copy.deepcopy(teacher)
    out = distillation.fitted(
        student, distillation.halve_loss(DATA, teacher, SCHEDULE, steps=4, batch=8, seed=0), steps=5, lr=1e-2
    )
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())
    assert not any(value.requires_grad for value in out.parameters())
    assert not torch.equal(out.first.weight, teacher.first.weight)


# The networks --------------------------------


def test_a_student_with_the_teachers_weights_answers_as_the_teacher_at_every_strength():
    teacher, student = small_unet(UNet), small_unet(GuidedUNet)
    torch.nn.init.normal_(teacher.head[-1].weight, std=0.1, generator=Rng(3))
    torch.nn.init.normal_(teacher.mid[0].conv2.weight, std=0.1, generator=Rng(5))  # a fresh block is the identity
    missing = student.load_state_dict(teacher.state_dict(), strict=False)
    assert missing.missing_keys == ["strength.weight"] and not missing.unexpected_keys
    x, t, y = torch.randn((3, 1, 32, 32), generator=Rng(2)), torch.tensor([3.0, 400.0, 999.0]), torch.tensor([0, 5, 9])
    want = teacher(x, t, y).sample
    for w in (0.0, 2.5, torch.tensor([0.0, 1.0, 4.0])):
        assert torch.equal(student(x, t, y, w).sample, want)
    torch.nn.init.normal_(student.strength.weight, generator=Rng(4))
    assert not torch.allclose(student(x, t, y, 1.0).sample, student(x, t, y, 2.0).sample)
    assert torch.equal(AtStrength(student, 1.0)(x, t, y).sample, student(x, t, y, 1.0).sample)


def test_the_configuration_of_a_guided_unet_survives():
    student = small_unet(GuidedUNet, num_classes=3)
    again = GuidedUNet.from_config(student.config)
    assert again.config.channels == student.config.channels and again.null_label == 3
    assert again.strength.out_features == 16


def test_strengths_are_told_apart():
    features = strength_features(torch.linspace(0, 4, 41))
    assert features.shape == (41, 8)
    assert torch.cdist(features, features).add(torch.eye(41)).min() > 0.1
    for student, x, t in (
        (net(), X[:4].float(), torch.full((4,), 499.0)),
        (small_unet(GuidedUNet), torch.zeros(4, 1, 32, 32), torch.full((4,), 499.0)),
    ):
        for w in (torch.zeros(3), float("nan")):
            with pytest.raises(ValueError, match=r"^w: expected"):
                student(x, t, Y[:4], w)


def test_the_start_of_a_guided_mlp_is_drawn_from_the_generator():
    assert torch.equal(net(0).first.weight, net(0).first.weight) and not torch.equal(
        net(0).first.weight, net(1).first.weight
    )
    assert not net().strength.weight.any() and abs(float(net().hidden[0].weight.detach().std()) - 0.25) < 0.05


# The recipes --------------------------------


def test_a_chain_of_recipes_is_trained_in_order_and_resumes(tmp_path, monkeypatch):
    tiny = {
        name: replace(recipes.RECIPES[name], steps=2, batch=2)
        for name in ("fashion_student_fold", "fashion_student_8", "fashion_student")
    }
    monkeypatch.setattr(recipes, "RECIPES", recipes.RECIPES | tiny)
    whole, losses = recipes.run("fashion_student")
    state = tmp_path / "fashion_student" / "state.safetensors"
    recipes.run("fashion_student_8", state=tmp_path / "fashion_student_8" / "state.safetensors")  # "killed" after it
    again, rest = recipes.run("fashion_student", state=state)
    assert len(losses) == len(rest) == 2 and losses == rest
    assert sorted(path.parent.name for path in tmp_path.rglob("state.safetensors")) == sorted(tiny)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert recipes.run("fashion_student", state=state)[1] == []


def test_each_round_starts_from_the_one_before():
    chain = [recipes.RECIPES[name] for name in ("fashion_student", "fashion_student_8", "fashion_student_fold")]
    assert [recipe.start for recipe in chain] == ["fashion_student_8", "fashion_student_fold", "fashion_unet"]
    assert [recipe.objective for recipe in chain] == ["halve-4", "halve-8", "fold"]


@pytest.mark.skipif("fashion_student" not in zoo.names(), reason="not trained yet")
def test_the_shipped_student_is_as_its_card_says():
    card, student = zoo.card("fashion_student"), zoo.load("fashion_student")
    few = ship.student_and_teacher(student, n=20, steps=(32,))
    got = float((few["student-4"] - few["teacher-32"]).square().mean().sqrt())
    assert got == pytest.approx(card["rmse_of_20"], rel=0.02)
    assert card["rmse_to_teacher_32"]["student-4"] < card["rmse_to_teacher_32"]["teacher-4"]
