"""The networks of the scenes: their objectives, the judge `scenes_cnn`, and what `scenes_t2i` has to reach."""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from denoising import guidance, metrics, samplers, scenes, training, zoo
from denoising.denoisers import CaptionDenoiser
from denoising.rng import Rng
from denoising.scenes.splits import attributes_of, plan
from denoising.schedules import Schedule

__all__ = [
    "ACCEPTANCE",
    "HEADS",
    "accepted",
    "attributes_loss",
    "captions_loss",
    "card",
    "draw",
    "fd",
    "in_order",
    "judged",
    "true_attributes",
]

HAZE = 0.1  # largest noise on the pictures that the judge learns from
HEADS = (2, 6, 7, 2, 6, 7, 2, 4, 3)  # values of each attribute, in the order of `scenes.ATTRIBUTES`
GUIDANCE, STEPS, SEEDS, EACH = 3.0, 25, 3, 200  # of the acceptance test: DDIM, pictures of each kind and seed
FD_SCENES = 2000
ACCEPTANCE = {  # lowest and highest value, see `card`
    "one object: attr_acc": (0.90, 1.0),
    "two objects: bind_acc": (0.70, 1.0),
    "two objects: rel_acc": (0.75, 1.0),
    "held-out combinations: attr_acc": (0.60, 1.0),
    "shuffled captions: attr_acc": (0.0, 0.10),
    "null caption: rarest shape": (0.08, 1.0),
    "null caption: commonest shape": (0.0, 0.28),
}


def captions_loss(schedule: Schedule, *, batch: int, seed: int) -> training.Loss:
    """The mean squared error of v on the endless training stream of scenes; no scene comes twice.

    Times are drawn with density 2 t, as roots of uniform ones. At high noise it is decided what stands where, and that
    takes long to learn: from uniform times a network learned colours and shapes, and which belong together, long before
    the first sign of a relation. Weights that fall with the noise, such as min(SNR, 5), make that worse.

    Args:
        schedule: the noise schedule.
        batch: scenes per step, over all processes together.
        seed: of times, noise and dropped words. A tenth of the captions are null, see `scenes.batch`.
    Source: Salimans and Ho 2022, arXiv 2202.00512 (the error of v). The density of times is ours.
    """

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        rng = Rng(seed).spawn("noise", step)
        x0, y = scenes.batch("train", range(step * batch, (step + 1) * batch), generator=rng)
        t, eps = training.stratified_times(batch, rng).sqrt(), torch.randn(x0.shape, generator=rng)
        x0, y, t, eps = training.share((x0, y, t, eps), rank, world)
        return F.mse_loss(*training.guess_and_v(net, schedule, x0, y, t, eps))

    return loss


def in_order(things: Sequence[scenes.Thing]) -> list[scenes.Thing]:
    """Objects by shape, then colour: a picture does not tell which of them was painted first."""
    return sorted(things, key=lambda one: (scenes.SHAPES.index(one.shape), scenes.COLOURS.index(one.colour)))


def true_attributes(split: str, indices: Sequence[int]) -> Tensor:
    """Attributes of scenes with their objects `in_order`: (N, 9), int64."""
    made = [plan(split, index) for index in indices]
    return torch.stack([attributes_of(in_order(one.things), one.background) for one in made])


def attributes_loss(*, batch: int, seed: int) -> training.Loss:
    """Cross entropy of every attribute that a scene has, summed; a little noise on the picture, as samples have.

    Args:
        batch: scenes per step.
        seed: of the noise.
    Returns:
        a `Loss` of a network that gives the logits of all `HEADS` side by side, (B, 39).
    """

    def loss(net: nn.Module, step: int, *, rank: int = 0, world: int = 1) -> Tensor:
        training.one_process(world, "a classifier with batch norm")
        rng, indices = Rng(seed).spawn("noise", step), range(step * batch, (step + 1) * batch)
        x, _ = scenes.batch("train", indices, dropping=False)
        haze = HAZE * torch.rand((batch, 1, 1, 1), generator=rng)
        x = (x + haze * torch.randn(x.shape, generator=rng)).clamp(-1, 1)
        y = true_attributes("train", indices)
        y[:, 0] -= 1  # one object is the first value
        device = next(net.parameters()).device
        heads = zip(net(x.to(device)).split(HEADS, 1), y.T.to(device), strict=True)
        return sum(F.cross_entropy(logits, wanted, ignore_index=-1) for logits, wanted in heads)

    return loss


@torch.no_grad()
def judged(x: Tensor, net: nn.Module | None = None, *, batch: int = 100) -> Tensor:
    """Attributes that `scenes_cnn` sees in pictures (N, 3, 32, 32), objects `in_order`: (N, 9), int64.

    Of a picture with one object those of the second and the relation are -1.
    """
    net = net or zoo.load("scenes_cnn")
    logits = torch.cat([net(part.float().cpu().clamp(-1, 1)) for part in x.split(batch)])
    seen = torch.stack([head.argmax(1) for head in logits.split(HEADS, 1)], 1)
    seen[seen[:, 0] == 0, 4:8] = -1
    seen[:, 0] += 1
    return seen


@cache
def _validation() -> metrics.Statistics:
    x, _ = scenes.batch("val", range(FD_SCENES))
    return metrics.statistics(zoo.features(x, net="scenes_cnn"))


def fd(x: Tensor) -> float:
    """Fréchet distance of pictures, (N, 3, 32, 32), to 2000 val scenes in the 64 features of `scenes_cnn`.

    Compare equal N only; the floor, 2000 test scenes, stands on the card of `scenes_t2i`. No method may use it.
    """
    return metrics.frechet_distance(zoo.features(x, net="scenes_cnn"), _validation())


def _judge_card(net: nn.Module) -> dict:
    """Accuracy of the judge on all test scenes and on the held-out combinations, which it never saw."""
    card = {}
    for split in ("test", "comp"):
        indices = range(scenes.SPLITS[split].size)
        x, _ = scenes.batch(split, indices)
        true, seen = true_attributes(split, indices), judged(x, net)
        columns = zip(scenes.ATTRIBUTES, seen.T, true.T, strict=True)
        hits = {name: (a == b)[b >= 0].double().mean() for name, a, b in columns}
        hits["all"] = (seen == true).all(1).double().mean()
        card[f"accuracy_on_{split}"] = {name: round(float(value), 4) for name, value in hits.items()}
    return card | {"n": scenes.SPLITS["test"].size}


def _captions(split: str, objects: int | None = None) -> Tensor:
    """Full captions of the first scenes of a split, with one or two objects, (EACH, 12)."""
    _, tokens = scenes.batch(split, range(4 * EACH), dropping=False)
    fits = [objects in (None, len(scenes.parse(scenes.decode(row)).objects)) for row in tokens]
    return tokens[torch.tensor(fits)][:EACH]


def draw(model: CaptionDenoiser, captions: Tensor | None, n: int, *, s: float = GUIDANCE, seed: int = 0) -> Tensor:
    """n pictures by DDIM in 25 equal steps of t, guided with strength s: (n, 3, 32, 32) in [-1, 1].

    Args:
        model: `zoo.denoiser("scenes_t2i")`.
        captions: token ids (n, 12), or `None` for the null caption, which leaves nothing to guide towards.
        n: pictures.
        s: strength of classifier-free guidance; 1 is none.
        seed: of the start noise.
    """
    noise = torch.randn((n, 3, 32, 32), generator=Rng(seed).spawn("samples"))
    guided = model if captions is None else guidance.ClassifierFree(model, s)
    times = samplers.grid(model.schedule, STEPS)
    return samplers.sample(samplers.ddim, guided, noise, times, y=captions, batch=50).clamp(-1, 1)


def _t2i_card(net: nn.Module) -> dict:
    """What `scenes_t2i` is accepted by, as the reader sees its pictures: 200 of each kind and seed, three seeds.

    The control reads the same pictures against captions of other pictures. Without a caption some shapes stay between
    two of the list; the reader calls the small ones circles. So the judge is asked about these pictures as well.
    """
    model = CaptionDenoiser(net, zoo.SCHEDULE)
    one, two, held = _captions("test", 1), _captions("test", 2), _captions("comp")
    rows: dict[str, list[float]] = {key: [] for key in ACCEPTANCE}
    second: list[list[float]] = []
    for seed in range(SEEDS):
        seen = [scenes.read_scenes(draw(model, words, EACH, seed=seed)) for words in (one, two, held)]
        free = draw(model, None, EACH, seed=seed)
        shares = _shares([thing.shape for reading in scenes.read_scenes(free) for thing in reading])
        judges = _shares([scenes.SHAPES[k] for row in judged(free).tolist() for k in row[1:6:3] if k >= 0])
        second.append([round(min(judges), 4), round(max(judges), 4)])
        shuffled = scenes.attr_acc([*seen[0], *seen[1]], torch.cat([one, two]).roll(EACH // 2, 0))
        values = (
            scenes.attr_acc(seen[0], one),
            scenes.bind_acc(seen[1], two),
            scenes.rel_acc(seen[1], two),
            scenes.attr_acc(seen[2], held),
            shuffled,
            min(shares),
            max(shares),
        )
        for row, value in zip(rows.values(), values, strict=True):
            row.append(round(value, 4))
    real, captions = scenes.batch("test", range(FD_SCENES), null=0)
    made = draw(model, captions, FD_SCENES, s=1.0)
    return {
        "acceptance": rows,
        "accepted": accepted(rows),
        "null_caption_by_the_judge_rarest_commonest": second,
        "sampler": f"DDIM, {STEPS} equal steps of t, s = {GUIDANCE:g}; {EACH} pictures of each kind and seed",
        "fd_unguided": round(fd(made), 4),
        "fd_floor": round(fd(real), 4),
        "judge_and_reader_agree": round(_agreement(made), 4),
        "n": FD_SCENES,
    }


def _shares(found: list[str]) -> list[float]:
    return [found.count(shape) / max(1, len(found)) for shape in scenes.SHAPES]


def _agreement(x: Tensor) -> float:
    """The share of pictures in which the judge and the reader see the same colours and shapes."""

    def pairs(row: list[int]) -> list[tuple[str, str]]:
        slots = [row[1:3], row[4:6]][: row[0]]
        return sorted((scenes.SHAPES[shape], scenes.COLOURS[colour]) for shape, colour in slots)

    readings = scenes.read_scenes(x)
    same = [
        pairs(row) == sorted((one.shape, one.colour) for one in reading)
        for row, reading in zip(judged(x).tolist(), readings, strict=True)
    ]
    return sum(same) / len(same)


def accepted(rows: dict[str, list[float]]) -> bool:
    """Whether the mean over seeds of every row lies within `ACCEPTANCE`."""
    return all(low <= sum(rows[key]) / len(rows[key]) <= high for key, (low, high) in ACCEPTANCE.items())


def card(net: nn.Module) -> dict:
    """The numbers on the model card of a network of the scenes."""
    return _t2i_card(net) if isinstance(net, zoo.network("TextUNet")) else _judge_card(net)
