"""Measure a trained network, and put it into `data/` with its model card. Used by `python -m denoising.zoo train`."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from denoising import datasets, guidance, metrics, procedural, samplers, zoo
from denoising.denoisers import Denoiser, NetworkDenoiser, add_noise
from denoising.rng import Rng
from denoising.schedules import Cosine
from denoising.zoo import adversarial, contrast, distillation, recipes, scene_nets

__all__ = ["draw", "evaluate", "noise_quartiles", "student_and_teacher", "write", "write_table"]

SAMPLES, CALLS = 5000, 20  # of the Fréchet distance on a model card
# Most pixels of the data are exactly -1. A sampler ends a hair above, and the metric features see that haze: the card
# tells how much of the distance it is, by a second value with every pixel below this one set to -1.
NEAR_BLACK = -0.95


def noise_quartiles(denoiser: Denoiser, data: datasets.Images, *, n: int = 256) -> list[float]:
    """Mean squared error of v on n fixed images, for t in (0, 1/4], (1/4, 1/2], (1/2, 3/4], (3/4, 1].

    It takes seconds and moves when a checkpoint is damaged, mislabelled or not the averaged one.
    """
    rng = Rng(0).spawn("quartiles")
    index = torch.arange(n) * (len(data) // n)
    x0, y = data.x[index], data.y[index] if getattr(denoiser, "num_classes", 10) else None
    losses = []
    for quarter in range(4):
        t = (quarter + 1 - (torch.arange(n, dtype=torch.float64) + 0.5) / n) / 4
        eps = torch.randn(x0.shape, generator=rng)
        x = add_noise(denoiser.schedule, x0, t, eps)
        alpha, sigma = (scale.float().view(-1, 1, 1, 1) for scale in denoiser.schedule.alpha_sigma(t))
        with torch.no_grad():
            losses.append(float((denoiser.v(x, t, y) - (alpha * eps - sigma * x0)).square().mean()))
    return losses


def draw(denoiser: Denoiser, n: int, *, seed: int = 0, calls: int = CALLS) -> tuple[Tensor, Tensor | None]:
    """n images, unguided, by DPM-Solver++ (2M) on equal steps of t: (n, 1, 32, 32), and their balanced labels, (n,).

    A network without labels is given none; `None` is returned for them.
    """
    y = torch.arange(n) % 10 if getattr(denoiser, "num_classes", 10) else None
    noise = torch.randn((n, 1, 32, 32), generator=Rng(seed).spawn("samples"))
    times = samplers.grid(denoiser.schedule, calls)
    return samplers.sample(samplers.dpmpp_2m, denoiser, noise, times, y=y).clamp(-1, 1), y


def evaluate(net: nn.Module, data: str = "fashion-G") -> dict:
    """The numbers of a model card, on block T (or fresh pictures, if `data` are made by a formula) and on samples."""
    match type(net).__name__:
        case "BiGAN":
            return adversarial.evaluate(net, n=SAMPLES)
        case "DualEncoder":
            return contrast.evaluate(net)
        case "BiasFreeUNet":
            return _evaluate_blind(net, data)
        case "GuidedUNet":
            return _evaluate_student(net)
        case "TextUNet" | "ConvNet" if data == "scenes":
            return scene_nets.card(net)
    test = datasets.load("fashion-T")
    if not hasattr(net, "null_label"):
        noise_aware = net.config.noise_aware
        accuracy = {}
        for t in (0.1, 0.3, 0.5, 0.7) if noise_aware else (None,):
            with torch.no_grad():
                if t is None:
                    guess = torch.cat([net(part).argmax(1) for part in test.x.split(500)])
                else:
                    x = add_noise(Cosine(), test.x, t, torch.randn(test.x.shape, generator=Rng(0).spawn("test")))
                    guess = torch.cat([net(part, torch.full((len(part),), t)).argmax(1) for part in x.split(500)])
            accuracy["clean" if t is None else f"t={t}"] = round(float((guess == test.y).double().mean()), 4)
        return {"accuracy_on_T": accuracy, "n": len(test)}
    model = NetworkDenoiser(net, zoo.SCHEDULE, num_classes=net.null_label)
    x, y = draw(model, SAMPLES)
    clear = torch.where(x < NEAR_BLACK, -1.0, x)
    floor = metrics.frechet_distance(zoo.features(test.x[:SAMPLES]), zoo.reference())
    labels = {} if y is None else {"judge_accuracy_on_samples": round(float((zoo.classify(x) == y).double().mean()), 4)}
    return labels | {
        "fd64": round(metrics.frechet_distance(zoo.features(x), zoo.reference()), 4),
        "fd64_near_black_set_to_black": round(metrics.frechet_distance(zoo.features(clear), zoo.reference()), 4),
        "fd64_floor": round(floor, 4),
        "n": SAMPLES,
        "calls": CALLS,
        "sampler": "DPM-Solver++ (2M), equal steps of t, guidance off",
        "judge_accuracy_on_T": round(float((zoo.classify(test.x) == test.y).double().mean()), 4),
        "v_loss_per_noise_quartile": [round(value, 5) for value in noise_quartiles(model, test)],
    }


@torch.no_grad()
def _evaluate_blind(net: nn.Module, data: str, n: int = 500) -> dict:
    """Mean squared error a pixel of a blind denoiser on pictures that it never saw."""
    rng = Rng(0).spawn("blind")
    if data == "discs":
        x, _ = procedural.discs(n, generator=rng)
    elif data.startswith("contours"):
        x = procedural.contours(n, smoothness=float(data.split("-")[1]), generator=rng)
    else:
        x = recipes.blind_pictures("fashion-T")[:n]
    noise = torch.randn(x.shape, generator=rng)
    error = {
        f"sigma={sigma}": round(float((net(x + sigma * noise) - x).square().mean()), 6)
        for sigma in (0.05, 0.1, 0.3, 1.0)
    }
    return {"test_mse": error, "n": n}


def student_and_teacher(net: nn.Module, *, n: int, steps: tuple[int, ...], w: float = 1.0) -> dict[str, Tensor]:
    """Images of a distilled student in 4 steps, and of its guided teacher, from the same noise and labels.

    Args:
        net: the student.
        n: images.
        steps: of the teacher; each takes two calls a step.
        w: strength in the student's convention.
    Returns:
        "student-4" and "teacher-N" for each N of `steps`, each (n, 1, 32, 32) in [-1, 1], by DDIM on equal steps of t.
    """
    y, noise = torch.arange(n) % 10, torch.randn((n, 1, 32, 32), generator=Rng(0).spawn("samples"))
    teacher = guidance.ClassifierFree(zoo.denoiser("fashion_unet"), guidance.strength_of_w(w))
    student = distillation.student_at(net, w, zoo.SCHEDULE, num_classes=net.null_label)
    runs = {"student-4": (student, 4)} | {f"teacher-{number}": (teacher, number) for number in steps}
    return {
        key: samplers.sample(samplers.ddim, model, noise, samplers.grid(zoo.SCHEDULE, number), y=y).clamp(-1, 1)
        for key, (model, number) in runs.items()
    }


def _evaluate_student(net: nn.Module, n: int = 500) -> dict:
    images, y = student_and_teacher(net, n=n, steps=(4, 32)), torch.arange(n) % 10
    test = datasets.load("fashion-T")
    # as many of each class as the samples have: chance differences in number would raise the floor
    real = torch.cat([test.x[test.y == label][: n // 10] for label in range(10)])
    few = student_and_teacher(net, n=20, steps=(32,))
    return {
        "fd64": {
            key: round(metrics.frechet_distance(zoo.features(x), zoo.reference()), 4) for key, x in images.items()
        },
        "fd64_floor": round(metrics.frechet_distance(zoo.features(real), zoo.reference()), 4),
        "judge_accuracy": {key: round(float((zoo.classify(x) == y).double().mean()), 4) for key, x in images.items()},
        "n": n,
        "sampler": "DDIM, equal steps of t, w = 1; the teacher is the guided fashion_unet, two calls a step",
        "rmse_to_teacher_32": {
            key: round(float((x - images["teacher-32"]).square().mean().sqrt()), 5)
            for key, x in images.items()
            if key != "teacher-32"
        },
        "rmse_of_20": round(float((few["student-4"] - few["teacher-32"]).square().mean().sqrt()), 5),
    }


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write ({error.strerror}); the old file is untouched", str(path)) from None
    finally:
        part.unlink(missing_ok=True)


def _update_manifest(section: str, key: str, entry: dict) -> None:
    manifest = datasets.manifest()
    manifest.setdefault(section, {})[key] = entry
    _replace(datasets.data_root() / "MANIFEST.json", (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def _cell(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "<br>".join(f"{key} {one}" for key, one in value.items())
    return str(value)


def write(name: str, net: nn.Module, entry: dict) -> Path:
    """Put half-precision weights, configuration and model card of `net` into data/checkpoints/NAME and the manifest.

    Not made for two processes at once: the later one would drop the earlier one's entry from the manifest.

    Args:
        name: of the checkpoint.
        net: the network; left in half precision.
        entry: what the card says, besides the hashes, which are added here.
    Returns:
        the folder.
    """
    folder = datasets.data_root() / "checkpoints" / name
    weights = {key: value.contiguous() for key, value in net.half().state_dict().items()}
    contents = (net.to_json_string().encode(), save(weights, metadata={"format": "pt"}))
    files = dict(zip(zoo.FILES, contents, strict=True))  # the two files that diffusers' save_pretrained writes
    for file, data in files.items():
        _replace(folder / file, data)
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
    rows = "\n".join(f"| {key.replace('_', ' ')} | {_cell(value)} |" for key, value in entry.items())
    text = f"# {name}\n\nMade by `python -m denoising.zoo train {name}`.\n\n| | |\n|---|---|\n{rows}\n"
    _replace(folder / "README.md", text.encode())
    _update_manifest("checkpoints", name, entry | {"files": hashes})
    return folder


def write_table(name: str, tensors: dict[str, Tensor], *, made_by: str) -> Path:
    """Put results that are too slow to compute live into data/tables/NAME.safetensors and the manifest."""
    blob = save({key: value.contiguous() for key, value in tensors.items()})
    key = f"tables/{name}.safetensors"
    _replace(datasets.data_root() / key, blob)
    entry = {"sha256": hashlib.sha256(blob).hexdigest(), "bytes": len(blob), "made_by": made_by}
    _update_manifest("tables", key, entry)
    return datasets.data_root() / key
