"""The loss, the average, the loop; interruption, damage, several processes."""

import errno
import itertools
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch import nn

from denoising import training_state
from denoising.datasets import Images
from denoising.denoisers import NetworkDenoiser, add_noise
from denoising.exact import GaussianMixture
from denoising.networks.mlp import MLP
from denoising.rng import Rng
from denoising.schedules import Cosine, Linear
from denoising.training import EMA, classifier_loss, denoising_loss, fit, learning_rate, minibatch

N = 48
POINTS = Images(torch.randn((N, 2), generator=Rng(0)), torch.arange(N) % 3, ("a", "b", "c"))
PICTURES = Images(torch.rand((N, 1, 8, 8), generator=Rng(1)) * 2 - 1, torch.arange(N) % 3, ("a", "b", "c"))


def small(seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MLP(width=16, num_classes=3, **options)


def weights(net):
    return torch.cat([value.detach().flatten() for value in net.parameters()])


def trained(state=None, until=None, *, steps=14, save_every=3, net=None, **options):
    """Weights, averaged weights and losses of a short run that may be cut after `until` steps."""
    net = net or small()
    ema, losses = EMA(net, 0.9), []
    loss = denoising_loss(POINTS, Cosine(), batch=8, seed=0)
    run = fit(net, loss, steps=steps, lr=1e-2, ema=ema, warmup=3, state=state, save_every=save_every, **options)
    for step in run:
        losses.append(step.loss)
        if step.step == until:
            run.close()
    return weights(net), weights(ema.module), losses


# The average --------------------------------


def test_after_k_updates_the_start_weighs_decay_to_the_k():
    net = nn.Linear(3, 2)
    nn.init.ones_(net.weight)
    ema = EMA(net, 0.05)  # below the warm-up's 1/10, so that the decay is the same at every update
    nn.init.zeros_(net.weight)
    for k in range(1, 6):
        ema.update(net)
        assert torch.allclose(ema.module.weight, torch.tensor(0.05**k), rtol=1e-5, atol=0)
    assert not ema.module.weight.requires_grad and not ema.module.training


def test_the_decay_warms_up_to_its_value():
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    ema, left = EMA(net, 0.5), 1.0
    nn.init.zeros_(net.weight)
    for k in range(20):
        ema.update(net)
        left *= min(0.5, (1 + k) / (10 + k))
        assert math.isclose(float(ema.module.weight), left, rel_tol=1e-5)


def test_buffers_are_copied_and_the_network_is_untouched():
    net = nn.BatchNorm1d(2)
    ema = EMA(net, 0.9)
    net(torch.randn((16, 2), generator=Rng(0)) + 3)
    before = weights(net)
    ema.update(net)
    assert torch.equal(ema.module.running_mean, net.running_mean) and ema.module.num_batches_tracked == 1
    assert torch.equal(weights(net), before) and net.weight.requires_grad


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan"), "0.9"])
def test_a_bad_decay_is_named(decay):
    with pytest.raises(ValueError, match=r"^decay: expected"):
        EMA(nn.Linear(1, 1), decay)


# Batches and losses --------------------------------


def test_an_epoch_shows_every_item_once():
    first = torch.cat([minibatch(12, 4, step, seed=0) for step in range(3)])
    second = torch.cat([minibatch(12, 4, step, seed=0) for step in range(3, 6)])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert not torch.equal(first, second)
    assert torch.equal(minibatch(12, 4, 4, seed=0), minibatch(12, 4, 4, seed=0))
    assert not torch.equal(minibatch(12, 12, 0, seed=0), minibatch(12, 12, 0, seed=1))
    uneven = torch.cat([minibatch(13, 4, step, seed=0) for step in range(3)])
    assert len(set(uneven.tolist())) == 12
    with pytest.raises(ValueError, match=r"^batch: expected"):
        minibatch(12, 13, 0, seed=0)


def test_learning_rate():
    rate = [learning_rate(step, steps=1000, peak=2.0, warmup=100) for step in range(1000)]
    assert math.isclose(rate[0], 0.02) and math.isclose(rate[49], 1.0) and rate[99:501] == [2.0] * 402
    assert math.isclose(rate[750], 1.0) and math.isclose(rate[999], 0.004)
    assert max(rate) == 2 and all(b < a for a, b in itertools.pairwise(rate[500:]))


class Records(nn.Module):
    """Remembers what it is asked; its answer does not depend on it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen = []

    def forward(self, *arguments):
        self.seen.append(arguments)
        return self.weight * arguments[0]


def test_times_are_stratified_and_labels_dropped():
    net, dropped = Records(), 0
    for step in range(60):
        denoising_loss(POINTS, Cosine(), batch=16, seed=0)(net, step)
        x, timestep, y = net.seen[-1]
        t = (timestep.double() + 1) / 1000
        assert (
            (t * 16 - torch.arange(15, -1, -1)).clamp(1e-6, 1 - 1e-6) - (t * 16 - torch.arange(15, -1, -1))
        ).abs().max() < 1e-3
        assert x.shape == (16, 2) and y.dtype == torch.int64
        index = minibatch(N, 16, step, 0)
        assert ((y == 3) | (y == POINTS.y[index])).all()
        dropped += int((y == 3).sum())
    assert 0.05 < dropped / 960 < 0.15
    for p_null, wish in ((0.0, 0), (1.0, 16)):
        denoising_loss(POINTS, Cosine(), batch=16, seed=0, p_null=p_null)(net, 0)
        assert int((net.seen[-1][2] == 3).sum()) == wish


def test_the_loss_is_zero_for_who_knows_the_picture():
    x0 = torch.tensor([0.3, -0.7])
    point = Images(x0.expand(N, 2).clone(), POINTS.y, POINTS.classes)

    class Knows(Records):
        def forward(self, x, timestep, y):
            alpha, sigma = (s.float()[:, None] for s in Cosine().alpha_sigma((timestep.double() + 1) / 1000))
            return self.weight + alpha * (x - alpha * x0) / sigma - sigma * x0

    loss = denoising_loss(point, Cosine(), batch=16, seed=0)
    assert float(loss(Knows(), 0).detach()) < 1e-4
    assert float(loss(Records(), 0).detach()) > 0.3


def test_the_loss_depends_on_seed_and_step_alone():
    loss, net = denoising_loss(POINTS, Cosine(), batch=8, seed=0), small()
    torch.manual_seed(0)
    first = loss(net, 3)
    torch.manual_seed(1)
    loss(net, 4)
    assert torch.equal(loss(net, 3), first) and not torch.equal(loss(net, 4), first)
    assert not torch.equal(denoising_loss(POINTS, Cosine(), batch=8, seed=1)(net, 3), first)


def test_shares_of_a_batch_average_to_the_whole():
    loss, net = denoising_loss(POINTS, Cosine(), batch=8, seed=0), small()
    for world in (2, 4):
        shares = torch.stack([loss(net, 5, rank=rank, world=world) for rank in range(world)])
        assert torch.allclose(shares.mean(), loss(net, 5), rtol=1e-5)
        assert shares.detach().std() > 1e-4  # they are different items
    with pytest.raises(ValueError, match=r"^batch: expected a multiple of the 3 processes"):
        loss(net, 5, rank=0, world=3)
    with pytest.raises(ValueError, match=r"^world: expected 1 process for a classifier"):
        classifier_loss(PICTURES, batch=8, seed=0)(Classifier(), 0, rank=0, world=2)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 3)
        nn.init.normal_(self.head.weight, generator=Rng(3))

    def forward(self, x, t=None):
        self.seen = x, t
        return self.head(x.flatten(1))


def test_classifier_loss():
    net = Classifier()
    loss = classifier_loss(PICTURES, batch=N, seed=0)
    value = loss(net, 0)
    x, t = net.seen
    index = minibatch(N, N, 0, 0)
    shifts = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
    (shift,) = [s for s in shifts if torch.equal(x, PICTURES.x[index].roll(s, (2, 3)))]
    want = nn.functional.cross_entropy(net.head(PICTURES.x[index].roll(shift, (2, 3)).flatten(1)), PICTURES.y[index])
    assert t is None and torch.equal(value, want)
    classifier_loss(PICTURES, batch=N, seed=0, noise=Cosine())(net, 0)
    noisy, t = net.seen
    assert t.shape == (N,) and ((t > 0) & (t <= 1)).all() and t.std() > 0.2
    late, early = (noisy - x)[t > 0.7], (noisy - x)[t < 0.2]
    assert late.square().mean() > 5 * early.square().mean()


def test_bad_arguments_of_the_loss_are_named():
    with pytest.raises(ValueError, match=r"^p_null: expected"):
        denoising_loss(POINTS, Cosine(), batch=8, seed=0, p_null=1.5)
    with pytest.raises(ValueError, match=r"^batch: expected"):
        denoising_loss(POINTS, Cosine(), batch=N + 1, seed=0)(small(), 0)


# The loop --------------------------------


def test_a_run_yields_every_step():
    net = small()
    records = list(fit(net, denoising_loss(POINTS, Cosine(), batch=8, seed=0), steps=5, lr=1e-2, warmup=2))
    assert [record.step for record in records] == [1, 2, 3, 4, 5]
    assert records[0].lr == 0.005 and records[1].lr == 0.01 and not net.training
    assert all(math.isfinite(record.loss) for record in records)


def test_old_gradients_do_not_leak_in():
    clean, dirty = small(), small()
    for value in dirty.parameters():
        value.grad = torch.ones_like(value)
    assert torch.equal(trained(net=dirty)[0], trained(net=clean)[0])


@pytest.mark.parametrize("until", [1, 2, 3, 7, 13, 14])
def test_a_resumed_run_ends_in_the_same_weights(until, tmp_path):
    whole, averaged, losses = trained()
    assert not torch.equal(whole, averaged)
    state = tmp_path / "deep" / "state"
    trained(state, until)
    again, again_averaged, rest = trained(state)
    assert torch.equal(again, whole) and torch.equal(again_averaged, averaged)
    assert rest == losses[14 - len(rest) :] and len(rest) == 14 - until // 3 * 3 * (until < 14) - 14 * (until == 14)
    assert [path.name for path in state.parent.iterdir()] == ["state"]


def test_stop_ends_on_the_longer_curve(tmp_path):
    state = tmp_path / "state"
    assert len(trained(state, stop=5)[2]) == 5
    assert len(trained(state, stop=5)[2]) == 0  # done
    assert torch.equal(trained(state)[0], trained()[0])


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_training as own
for step in own.fit(own.small(), own.denoising_loss(own.POINTS, own.Cosine(), batch=8, seed=0), steps=14, lr=1e-2,
                    ema=None, warmup=3, state=Path({state!r}), save_every=1):
    print(step.step, flush=True)
"""


def test_a_run_killed_without_warning_resumes(tmp_path):
    state = tmp_path / "state"
    code = KILLED.format(here=str(Path(__file__).parent), state=str(state))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        while int(child.stdout.readline()) < 6:
            pass
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    net, whole = small(), small()
    loss = denoising_loss(POINTS, Cosine(), batch=8, seed=0)
    rest = list(fit(net, loss, steps=14, lr=1e-2, warmup=3, state=state, save_every=1))
    list(fit(whole, loss, steps=14, lr=1e-2, warmup=3))
    assert rest[0].step >= 6 and torch.equal(weights(net), weights(whole))


@pytest.mark.parametrize("where", ["write_bytes", "replace"])
def test_a_full_disk_leaves_the_old_state(where, tmp_path, monkeypatch):
    state = tmp_path / "state"
    trained(state, 4)
    before, real = state.read_bytes(), Path.write_bytes

    def full(path, data=b""):
        if where == "write_bytes":
            real(Path(path), data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, where) if where == "write_bytes" else (training_state.os, where)), full)
        with pytest.raises(OSError, match="free space and resume") as caught:
            trained(state)
    assert caught.value.errno == errno.ENOSPC and str(state) in str(caught.value)
    assert state.read_bytes() == before and list(tmp_path.iterdir()) == [state]
    assert torch.equal(trained(state)[0], trained()[0])


def flipped(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("damage", [lambda data: data[:-1], flipped, lambda data: b"", lambda data: data[:20]])
def test_a_damaged_state_is_refused(damage, tmp_path):
    state = tmp_path / "state"
    trained(state, 4)
    state.write_bytes(damage(state.read_bytes()))
    with pytest.raises(ValueError, match=r"state: the training state is damaged .* delete .*state to start again"):
        trained(state)


def test_a_foreign_state_is_refused(tmp_path):
    state = tmp_path / "state"
    trained(state, 4)
    with pytest.raises(ValueError, match=r"state: written by another recipe .* delete"):
        trained(state, steps=15)
    with pytest.raises(ValueError, match=r"state: written by another recipe .* delete"):
        trained(state, about={"seed": 1})
    with pytest.raises(ValueError, match=r"^stop: .*state already holds 3 steps"):
        trained(state, stop=2)
    with pytest.raises(ValueError, match=r"state: of another network .* delete"):
        trained(state, net=small(depth=2))
    with pytest.raises(ValueError, match="another recipe"):  # it has an average, this run has none
        list(fit(small(), denoising_loss(POINTS, Cosine(), batch=8, seed=0), steps=14, lr=1e-2, warmup=3, state=state))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    state = tmp_path / "state"
    good = denoising_loss(POINTS, Cosine(), batch=8, seed=0)

    def loss(net, step, **share):
        return good(net, step, **share) * (float("nan") if step == 4 else 1)

    def gradient(net, step, **share):
        value = good(net, step, **share)
        if step == 4:
            value.register_hook(lambda g: g * float("inf"))
        return value

    for bad in (loss, gradient):
        with pytest.raises(ValueError, match=r"^loss: expected finite numbers, got .* at step 4; lower lr"):
            list(fit(small(), bad, steps=14, lr=1e-2, warmup=3, state=state, save_every=1))
        list(fit(small(), good, steps=14, lr=1e-2, warmup=3, state=state, save_every=1))  # the saved state is good
        state.unlink()


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"lr": 0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"stop": 0}, "stop"),
        ({"save_every": 0}, "save_every"),
        ({"clip": 0}, "clip"),
    ],
)
def test_bad_arguments_of_the_loop_are_named(options, argument):
    with pytest.raises(ValueError, match=rf"^{argument}: expected"):
        list(fit(small(), denoising_loss(POINTS, Cosine(), batch=8, seed=0), **{"steps": 3, "lr": 1e-2, **options}))


TWO = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from accelerate import Accelerator
import test_training as own

accelerator = Accelerator(cpu=True)
assert accelerator.num_processes == 2 == torch.distributed.get_world_size(), accelerator.num_processes
weights, averaged, losses = own.trained(Path({state!r}), accelerator=accelerator)
if accelerator.is_main_process:
    torch.save((weights, averaged, losses), {out!r})
accelerator.wait_for_everyone()  # who leaves while the other still holds the group may be aborted on the way out
torch.distributed.destroy_process_group()
"""


def test_two_processes_end_in_the_weights_of_one(tmp_path):
    script, out, state = (tmp_path / name for name in ("two.py", "out", "state"))
    script.write_text(textwrap.dedent(TWO.format(here=str(Path(__file__).parent), out=str(out), state=str(state))))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        str(port),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    ran = subprocess.run(
        [sys.executable, *launch, str(script)], env=environment, capture_output=True, text=True, timeout=110
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    two, two_averaged, _ = torch.load(out)
    one, averaged, _ = trained()
    assert (two - one).abs().max() < 1e-5 and (two_averaged - averaged).abs().max() < 1e-5
    saved, _, rest = trained(state)  # one process reads what two have written
    assert not rest and torch.equal(saved, two)


def test_a_small_network_comes_near_the_loss_of_the_exact_answer():
    means = torch.tensor([[-1.0, 0.0], [0.7, 0.7], [0.7, -0.7]])
    exact = GaussianMixture(means, 0.04 * torch.eye(2).expand(3, 2, 2), schedule=Linear())
    data = Images(*exact.sample(20_000, generator=Rng(0)), ("a", "b", "c"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = MLP(num_classes=3)
    ema = EMA(net, 0.99)

    def loss_of(denoiser):
        x0, y = exact.sample(20_000, generator=Rng(1))
        t = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
        eps = torch.randn(x0.shape, generator=Rng(2))
        x = add_noise(Linear(), x0, t, eps)
        alpha, sigma = (s.float()[:, None] for s in Linear().alpha_sigma(t))
        with torch.inference_mode():
            return [float((denoiser.v(x, t, y) - (alpha * eps - sigma * x0)).square().mean()) for y in (None, y)]

    floor, untrained = loss_of(exact), loss_of(NetworkDenoiser(net, Linear(), num_classes=3))
    for _ in fit(net, denoising_loss(data, Linear(), batch=256, seed=0, p_null=0.3), steps=500, lr=4e-3, ema=ema):
        pass
    got = loss_of(NetworkDenoiser(ema.module, Linear(), num_classes=3))
    for one, best, start in zip(got, floor, untrained, strict=True):
        assert 0.98 * best < one < 1.1 * best < 0.9 * start, (got, floor, untrained)
