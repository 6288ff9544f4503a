"""The notebooks' face: set-up, claims, figures, widgets, progress."""

import io
import json
import math
import subprocess
import sys
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from denoising import nb
from denoising.nb import figures, session
from denoising.rng import Rng

ALT = "Line plot of a line that rises from one to two"


@pytest.fixture
def shown(monkeypatch):
    """The figures that a test displays, as (picture, alt)."""
    found = []
    monkeypatch.setattr(figures, "_display", lambda png, alt: found.append((png, alt)))
    return found


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_import_is_cheap():
    ask = "import sys; from denoising import nb; print({'torch', 'matplotlib', 'IPython'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "set()\n"


def test_setup_prints_one_line_and_may_run_twice(capsys, monkeypatch):
    monkeypatch.delenv("DENOISING_SEED", raising=False)
    first, second = nb.setup(seed=3), nb.setup(seed=3)
    assert capsys.readouterr().out == f"device: {nb.device().type}\n" * 2
    assert isinstance(first, Rng) and first.seed_value == second.seed_value == 3
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.benchmark


def test_seed_of_the_environment_wins(monkeypatch):
    monkeypatch.setenv("DENOISING_SEED", "7")
    assert nb.setup(seed=0).seed_value == 7
    monkeypatch.setenv("DENOISING_SEED", "seven")
    with pytest.raises(ValueError, match=r"DENOISING_SEED.*'seven'"):
        nb.setup()


def test_setup_takes_no_more_threads_than_allowed(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        nb.setup()
        assert torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        nb.setup()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (1.2345, ".3g", "\u2248 1.23"),
        (np.float32(2), ".3g", "\u2248 2"),
        (torch.tensor([0.5], requires_grad=True), ".1%", "\u2248 50.0%"),
        (torch.tensor(-1e-9), ".3g", "\u2248 -1e-09"),
        (math.nan, ".3g", "\u2248 nan"),
        (math.inf, ".3g", "\u2248 inf"),
    ],
)
def test_measured(value, spec, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nb.measured(value, spec) == text


@pytest.mark.parametrize("value", [torch.ones(2), "one", None, 1j])
def test_measured_wants_one_number(value):
    with pytest.raises(ValueError, match="one real number"):
        nb.measured(value)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"hi": 15, "control": 20}, "\u2248 10 in [-inf, 15] | control \u2248 20 outside | holds"),
        ({"lo": 1 - 1e-12, "control": lambda: 0.5}, "\u2248 10 in [1, inf] | control \u2248 0.5 outside | holds"),
        ({"lo": 1, "hi": 15, "no_control": "an identity"}, "\u2248 10 in [1, 15] | no control: an identity | holds"),
        (
            {"hi": 15, "control": math.inf, "control_diverges": True},
            "\u2248 10 in [-inf, 15] | control diverges outside | holds",
        ),
        (
            {"hi": 15, "control": 20, "paper": "ddpm", "reported": "FID 3.2", "change": "digits"},
            "\u2248 10 in [-inf, 15] | control \u2248 20 outside | holds with a change\n"
            "       paper ddpm reports FID 3.2; changed here: digits",
        ),
    ],
)
def test_claim_that_holds(capsys, arguments, line):
    nb.claim("FD", torch.tensor(10.0), **arguments)
    assert capsys.readouterr().out == f"claim: FD | {line}\n"


@pytest.mark.parametrize(
    ("value", "arguments", "said"),
    [
        (10, {"hi": 5, "control": 20}, "10 is above the upper bound 5"),
        (10, {"lo": 12, "control": 0}, "10 is below the lower bound 12"),
        (math.nan, {"hi": 5, "control": 20}, "value is nan"),
        (math.inf, {"lo": 5, "control": 0}, "value is inf"),
        (10, {"hi": 15, "control": 14}, "control 14 is inside"),
        (10, {"hi": 15, "control": math.nan}, "control is nan"),
        (10, {"lo": 5, "control": math.inf}, "control is inf"),
        (10, {"hi": 15, "control": 14, "control_diverges": True}, "control 14 is inside"),
    ],
)
def test_claim_that_does_not_hold(capsys, value, arguments, said):
    with pytest.raises(nb.ClaimError, match=said):
        nb.claim("FD", value, **arguments)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("FD", {"control": 1}),
        ("FD", {"hi": 15}),
        ("FD", {"hi": 15, "control": 20, "no_control": "both"}),
        ("FD", {"lo": 16, "hi": 15, "control": 20}),
        ("FD", {"hi": math.nan, "control": 20}),
        ("FD", {"hi": 15, "control": torch.ones(2)}),
        ("FD", {"hi": 15, "control": 20, "change": "smaller"}),
        ("FD | KID", {"hi": 15, "control": 20}),
        ("FD\nKID", {"hi": 15, "control": 20}),
        ("FD", {"hi": 15, "no_control": "a|b"}),
        ("FD", {"hi": 15, "control": 20, "paper": "ddpm", "reported": "a\nb"}),
    ],
)
def test_malformed_claim(name, arguments):
    with pytest.raises(ValueError):
        nb.claim(name, 10, **arguments)


def test_finding(capsys):
    nb.finding("gap", 0.2, expected="0.1", why="too few samples", paper="ddpm", reported="0.1")
    assert capsys.readouterr().out == (
        "finding: gap | \u2248 0.2, expected 0.1 | too few samples | not at this scale\n       paper ddpm reports 0.1\n"
    )
    with pytest.raises(nb.ClaimError):
        nb.finding("gap", math.nan, expected=1, why="broken")


def test_predict(capsys):
    nb.predict("key", options=["less", "more"])
    nb.predict("key", options=["less", "more"], mine="more")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[2] == "predict key: (a) less  (b) more"
    assert lines[3] == "your choice: (b) more"
    with pytest.raises(ValueError, match="a, b"):
        nb.predict("key", options=["less", "more"], mine="c")
    with pytest.raises(ValueError):
        nb.predict("key", options=["less"])


def test_expect(capsys):
    with nb.expect(ValueError):
        raise ValueError("no")
    assert capsys.readouterr().out == "ValueError: no\n"
    with pytest.raises(nb.ClaimError, match="nothing was raised"), nb.expect(ValueError):
        pass
    with pytest.raises(TypeError), nb.expect(ValueError):
        raise TypeError


@pytest.mark.parametrize("alt", ["", "too short", "x" * 201, "two lines of text that\nare long enough", None])
def test_figures_need_a_description(alt):
    fig, _ = plt.subplots()
    with pytest.raises(ValueError, match="alt"):
        nb.show(fig, alt)
    with pytest.raises(ValueError, match="alt"):
        nb.grid(torch.zeros(1, 4, 4), alt=alt)
    plt.close(fig)


def test_show_is_repeatable_small_and_closes(shown):
    nb.setup()
    for _ in range(2):
        fig, ax = plt.subplots()
        ax.plot(np.linspace(0, 1, 500), label="long line")
        ax.plot(np.linspace(0, 1, 500), "o")
        ax.imshow(np.random.default_rng(0).random((20, 20)))
        nb.show(fig, alt=ALT)
    assert not plt.get_fignums()
    assert shown[0] == shown[1] and shown[0][1] == ALT
    assert len(shown[0][0]) < 80_000 and picture(shown[0][0]).shape[:2] == (350, 600)
    line, points = ax.get_lines()
    assert line.get_markevery() is not None and points.get_markevery() is None  # no point is ever hidden
    assert not Image.open(io.BytesIO(shown[0][0])).info


def test_grid_keeps_the_range(shown):
    images = torch.stack([torch.full((4, 4), value) for value in (-5.0, -1.0, 0.0, 1.0)])
    nb.grid(images, cols=2, scale=3, alt=ALT)
    sheet = picture(shown[0][0])
    step = 12 + figures.GUTTER
    assert sheet.shape == (12 + step, 12 + step)
    assert [sheet[0, 0], sheet[0, step], sheet[step, 0], sheet[step, step]] == [0, 0, 128, 255]
    nb.grid(torch.rand(5, 3, 4, 4), cols=3, scale=2, vmin=0, alt=ALT, titles=list("abcde"))
    assert picture(shown[1][0]).shape[2] == 3


@pytest.mark.parametrize(
    ("images", "change"),
    [
        (torch.zeros(4, 4), {}),
        (torch.zeros(1, 2, 4, 4), {}),
        (torch.zeros(0, 4, 4), {}),
        (torch.full((1, 4, 4), math.nan), {}),
        (torch.zeros(1, 4, 4), {"cols": 0}),
        (torch.zeros(1, 4, 4), {"vmin": 1}),
        (torch.zeros(1, 4, 4), {"titles": ["a", "b"]}),
    ],
)
def test_grid_says_what_is_wrong(images, change):
    with pytest.raises(ValueError):
        nb.grid(images, alt=ALT, **change)


def test_stored_text_of_a_figure(capsys):
    figure = figures._Described(b"png", ALT)
    assert figure._repr_mimebundle_() == {"image/png": "cG5n", "text/plain": f"Figure: {ALT}"}
    json.dumps(figure._repr_mimebundle_())


def test_explore_without_widgets(capsys):
    drawn = []
    nb.explore(lambda **v: drawn.append(v), t=nb.slider(1, 100, 30), kind=nb.choice(["a", "b"], "b", label="class"))
    assert drawn == [{"t": 30, "kind": "b"}]
    said = "explore: t from 1 to 100, starts at 30; class one of a, b, starts at b (in a live notebook)\n"
    assert capsys.readouterr().out == said


def test_explore_with_widgets(monkeypatch, capsys):
    import IPython.display

    drawn, boxes = [], []
    monkeypatch.setattr("denoising.nb.widgets.live", lambda: True)
    monkeypatch.setattr(IPython.display, "display", boxes.append)
    nb.explore(lambda **v: drawn.append(v), t=nb.slider(1, 100, 30), s=nb.slider(0.0, 1.0, 0.5, label="scale"))
    t, s, _ = boxes[0].children
    assert (t.description, s.description, s.step) == ("t", "scale", 0.01)
    t.value = 40
    assert drawn == [{"t": 30, "s": 0.5}, {"t": 40, "s": 0.5}]
    assert "explore" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "make",
    [
        lambda: nb.slider(1, 100, 0),
        lambda: nb.slider(1, 1, 1),
        lambda: nb.slider(1, 3, 2, step=0),
        lambda: nb.choice(["a"], "b"),
        lambda: nb.explore(print),
        lambda: nb.explore(print, t=3),
    ],
)
def test_malformed_controls(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("widgets", ["on", "off"])
def test_progress_changes_nothing_and_is_silent_in_a_log(monkeypatch, capfd, widgets):
    monkeypatch.setenv("DENOISING_WIDGETS", widgets)
    assert list(nb.progress(iter(range(5)), "loop", total=5)) == list(range(5))
    assert capfd.readouterr() == ("", "")


def test_outside_of_a_kernel_nothing_is_live(monkeypatch):
    monkeypatch.setenv("DENOISING_WIDGETS", "on")
    assert not session.in_kernel() and not session.live()
