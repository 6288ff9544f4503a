"""When adaptive guidance stops, item by item; more on drawn grids in tests/property/test_guidance.py."""

import pytest
import torch

from denoising.denoisers import Counted, Denoiser
from denoising.exact import GaussianMixture
from denoising.guidance import Adaptive, ClassifierFree, within
from denoising.rng import Rng
from denoising.schedules import EDM, Cosine, Linear

F = torch.float64
Y = torch.tensor([0, 1, 2, 1, 0, 2])


def mixture(schedule, d):
    means = torch.randn((4, d), generator=Rng(1), dtype=F)
    covs = 0.2 * torch.eye(d, dtype=F).expand(4, d, d)
    return GaussianMixture(means, covs, classes=torch.tensor([0, 1, 2, 0]), schedule=schedule)


def points(d, seed=0):
    return torch.randn((6, d), generator=Rng(seed), dtype=F)


@pytest.mark.parametrize("schedule", [Cosine(), Linear(), EDM()], ids=lambda schedule: type(schedule).__name__)
@pytest.mark.parametrize("space", ["x0", "eps"])
@pytest.mark.parametrize("crop", [0, 1])
def test_an_item_stops_by_the_cosine_of_what_the_branches_say(schedule, space, crop):
    data, t = mixture(schedule, 4 * 5), 0.7
    kind = {"x0": data, "eps": data.eps}[space]
    x = schedule.alpha(t) * data.means[Y] + 2 * schedule.sigma(t) * points(4 * 5, seed=3)
    x = x.reshape(6, 1, 4, 5)
    a, b = ((kind(x, t, y)[:, :, crop : 4 - crop, crop : 5 - crop]).flatten(1) for y in (None, Y))
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    for place in range(7):
        edges = torch.cat([torch.tensor([-1.0]), cosine.sort().values, torch.tensor([1.0])])
        threshold = float(edges[place : place + 2].mean())
        adaptive = Adaptive(data, 2.0, threshold=threshold, crop=crop, space=space)
        adaptive(x, t, Y), adaptive(x, 0.6, Y)
        assert adaptive.items.tolist() == (3 + (cosine < threshold).long()).tolist()
    adaptive.reset()
    assert adaptive.items.tolist() == []
    adaptive(x, 0.5, Y)
    assert adaptive.items.tolist() == [2] * 6


def test_at_strength_one_there_is_nothing_to_decide():
    adaptive = Adaptive(counted := Counted(data := mixture(Cosine(), 2)), within(3, 0.2, 0.6), threshold=-1)
    for t, rows in ((0.9, 1), (0.7, 2), (0.5, 4), (0.3, 5), (0.1, 6)):
        got = adaptive(points(2), t, Y)
        assert adaptive.items.tolist() == [rows] * 6 and counted.items == 6 * rows
        assert torch.equal(got, ClassifierFree(data, 3 if t == 0.5 else 1)(points(2), t, Y))


class Opposite(Denoiser):
    """With a label it guesses `sign` times what it guesses without one."""

    def __init__(self, sign):
        self.sign, self.schedule = sign, Cosine()

    def __call__(self, x, t, y=None):
        return x if y is None else self.sign * x


@pytest.mark.parametrize(("sign", "threshold", "rows"), [(-1, -1.0, 3), (1, 1 + 1e-9, 4)])
def test_rounding_leads_no_cosine_past_one(sign, threshold, rows):
    x = torch.randn((500, 1), generator=Rng(0), dtype=F).expand(-1, 3)
    y, adaptive = torch.zeros(500, dtype=torch.int64), Adaptive(Opposite(sign), 2.0, threshold=threshold)
    adaptive(x, 0.8, y), adaptive(x, 0.7, y)
    assert adaptive.items.tolist() == [rows] * 500
    assert int(torch.cosine_similarity(x, -x).lt(-1).sum()) > 50  # the danger is real
