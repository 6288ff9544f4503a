"""Guides for `fashion_unet` made of a clean classifier: as it is, smoothed, or adapted on the model's own samples."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import metrics, samplers, zoo
from denoising.denoisers import add_noise
from denoising.guidance import Guide, Guided, label_guide
from denoising.networks import lora
from denoising.rng import Rng
from denoising.schedules import Schedule

__all__ = [
    "GUIDES",
    "SCALES",
    "adapted",
    "fashion_experts",
    "fashion_guides",
    "guide",
    "mean_shift",
    "samples",
    "smooth",
]

EXPERTS, RANK, STEPS, BATCH, MADE = 5, 2, 300, 64, 1000
SHARPNESS = 0.25  # of the teacher's softmax; Go et al. 2022, code
GUIDES = (
    "clean on x_t",
    "clean on the guess",
    "Softplus 3",
    "Softplus 10",
    "noise-aware",
    "five experts",
    "one adapter",
)
SCALES = (1.0, 4.0, 16.0)
PART, CALLS, N = 20, 50, 100


def mean_shift(schedule: Schedule, s: float, steps: int) -> Callable[[float], float]:
    """The strength with which `Guided` moves the ancestral mean by s times the step's variance times the gradient.

    `Guided` adds s sigma^2 / alpha grad to the guess, so the mean moves by s (added variance) / ratio grad. The papers'
    shift is smaller by the weight of x_t in the mean, ratio sigma_u^2 / sigma_t^2, u = t - 1 / steps; 0 at the end.
    """

    def strength(t: float) -> float:
        u = t - 1 / steps
        if u < 1e-9:
            return 0.0
        (alpha, sigma), (alpha_u, sigma_u) = schedule.alpha_sigma(t), schedule.alpha_sigma(u)
        return float(s * alpha / alpha_u * (sigma_u / sigma) ** 2)

    return strength


def smooth(net: nn.Module, beta: float) -> Callable[[Tensor], Tensor]:
    """A clean `ConvNet` with Softplus for its ReLU, which is a function there, so that no module can be swapped."""

    def logits(x: Tensor) -> Tensor:
        x = x.float()
        for conv, norm in zip(net.convs, net.norms, strict=True):
            x = F.softplus(norm(conv(x)), beta)
        return net.head(x.mean((2, 3)))

    return logits


def adapted(stored: dict[str, Tensor]) -> dict[str, list[nn.Module]]:
    """The networks of the table `fashion_experts`: five experts, and one adapter for all times."""
    clean, nets = zoo.load("fashion_clf_guide"), {}
    for name, count in (("expert", EXPERTS), ("single", 1)):
        nets[name] = []
        for k in range(count):
            key = f"{name}.{k}."
            part = {each.removeprefix(key): value.float() for each, value in stored.items() if each.startswith(key)}
            nets[name].append(lora.load_adapter(lora.with_lora(clean, RANK, generator=Rng(0)), part))
    return nets


def guide(name: str) -> tuple[Guide, str]:
    """One of `GUIDES`, and what it sees."""
    clean = zoo.load("fashion_clf_guide")
    if name.startswith("clean"):
        return label_guide(clean, 10, told_time=False), "xt" if name.endswith("x_t") else "x0"
    if name.startswith("Softplus"):
        return label_guide(smooth(clean, float(name.split()[1])), 10, told_time=False), "x0"
    if name == "noise-aware":
        return label_guide(zoo.load("fashion_clf_noisy"), 10), "xt"
    nets = adapted(zoo.table("fashion_experts"))["expert" if name == "five experts" else "single"]
    return label_guide(lambda x, t: nets[lora.expert_index(float(t[0]), len(nets))](x.float()), 10), "xt"


def samples(name: str, s: float, part: int) -> tuple[Tensor, Tensor]:
    """Twenty guided pictures and their labels; equal parts start from equal noise and go on with it."""
    unet, source = zoo.denoiser("fashion_unet"), Rng(0).spawn("fashion_guides", part)
    y, noise = torch.arange(PART) % 10, torch.randn((PART, 1, 32, 32), generator=source)
    how, sees = guide(name)
    model = Guided(unet, how, mean_shift(unet.schedule, s, CALLS), sees=sees)
    return samplers.sample(samplers.ddpm, model, noise, samplers.grid(unet.schedule, CALLS), y=y, generator=source), y


def fashion_guides() -> dict[str, Tensor]:
    """Judge's verdict and FD-64 of 100 pictures for every guide and scale; row 0 of `unguided` is scale 0."""
    accuracy, fd, shown = (torch.zeros(len(GUIDES), len(SCALES), *more) for more in ((), (), (PART, 32, 32)))

    def measure(name: str, s: float) -> tuple[Tensor, float, float]:
        parts = [samples(name, s, part) for part in range(N // PART)]
        x, y = (torch.cat(each) for each in zip(*parts, strict=True))
        distance = metrics.frechet_distance(zoo.features(x), zoo.reference())
        return x[:PART, 0], float((zoo.classify(x) == y).double().mean()), distance

    for i, name in enumerate(GUIDES):
        for j, s in enumerate(SCALES):
            shown[i, j], accuracy[i, j], fd[i, j] = measure(name, s)
    _, *unguided = measure("clean on x_t", 0.0)
    images = ((shown.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return {"accuracy": accuracy, "fd64": fd, "unguided": torch.tensor(unguided), "images": images}


def fashion_experts() -> dict[str, Tensor]:
    """Adapters taught by the clean guide on the model's own samples, and their accuracy on block T, [time, network].

    The columns of `accuracy` are the clean classifier, the five experts and the single adapter.
    """
    from denoising import datasets

    unet, clean = zoo.denoiser("fashion_unet"), zoo.load("fashion_clf_guide")
    noise = torch.randn((MADE, 1, 32, 32), generator=Rng(0).spawn("made"))
    made = samplers.sample(samplers.dpmpp_2m, unet, noise, samplers.grid(unet.schedule, 20)).clamp(-1, 1)
    with torch.no_grad():
        target = torch.cat([(clean(x) / SHARPNESS).softmax(1) for x in made.split(100)])
    nets = [_teach(clean, unet.schedule, made, target, k / EXPERTS, (k + 1) / EXPERTS, STEPS) for k in range(EXPERTS)]
    single = _teach(clean, unet.schedule, made, target, 0.0, 1.0, EXPERTS * STEPS)
    stored = {}
    for name, group in (("expert", nets), ("single", [single])):
        for k, net in enumerate(group):
            stored |= {f"{name}.{k}.{key}": value.half() for key, value in lora.adapter(net).items()}
    again = adapted(stored)  # what is measured is what is stored
    test, rows = datasets.load("fashion-T"), slice(0, None, 5)
    x0, y = test.x[rows], test.y[rows]
    accuracy = []
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        x = add_noise(unet.schedule, x0, t, torch.randn(x0.shape, generator=Rng(0).spawn("test", t)))
        with torch.no_grad():
            guesses = [torch.cat([net(part).argmax(1) for part in x.split(100)]) for net in
                       (clean, *again["expert"], *again["single"])]  # fmt: skip
        accuracy.append([float((guess == y).double().mean()) for guess in guesses])
    labels = target.argmax(1).bincount(minlength=10)
    return stored | {"accuracy": torch.tensor(accuracy), "labels": labels}


def _teach(
    clean: nn.Module, schedule: Schedule, made: Tensor, target: Tensor, lo: float, hi: float, steps: int
) -> nn.Module:
    """An adapter of the clean classifier for times lo < t <= hi: teacher on clean pictures, student on noisy ones."""
    net, source = lora.with_lora(clean, RANK, generator=Rng(0).spawn("lora", lo, hi)), Rng(0).spawn("teach", lo, hi)

    def draw(step: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(made), (BATCH,), generator=source)
        t = hi - (hi - lo) * torch.rand(BATCH, generator=source, dtype=torch.float64)
        noise = torch.randn((BATCH, *made.shape[1:]), generator=source)
        return target[rows], add_noise(schedule, made[rows], t, noise)

    return lora.fit(net, draw, steps=steps, lr=4e-3)
