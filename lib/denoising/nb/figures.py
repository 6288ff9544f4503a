"""Figures with a description: small, repeatable PNGs whose stored text is what a screen reader and the tests get."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

__all__ = ["COLOURS", "PAIR", "SINGLE", "grid", "house_style", "show"]

SINGLE = (6.0, 3.5)  # inches, at 100 dpi
PAIR = (9.0, 3.5)  # two panels side by side
# Okabe and Ito 2008, without yellow: on white its contrast is 1.3 to 1.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SMALL = 40_000  # bytes up to which a figure keeps all its colours
GUTTER = 4  # white pixels between the tiles of a grid


def house_style() -> None:
    """Set matplotlib's defaults: size, type, quiet axes, and lines that differ in colour, dash and marker."""
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update({
        "figure.figsize": SINGLE,
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "image.cmap": "viridis",
        "image.interpolation": "nearest",
        "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES) + cycler(marker=MARKERS),
    })  # fmt: skip


def show(fig: Figure, alt: str) -> None:
    """Display a matplotlib figure as a PNG described by `alt`, and close it.

    The markers of long connected lines are thinned to about nine a line; unconnected points are all drawn.

    Args:
        fig: the figure.
        alt: kind of plot, axes, the one thing to see; one line of 20 to 200 characters.
    Raises:
        ValueError: if `alt` is missing, too short or too long.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    alt = _description(alt)
    for axes in fig.axes:
        for number, line in enumerate(axes.get_lines()):
            connected = line.get_linestyle() not in ("None", "none", "", " ") and len(line.get_xdata()) > 20
            if connected and line.get_markevery() is None and axes.name == "rectilinear":
                line.set_markevery((0.02 + 0.03 * (number % 4), 0.12))  # shares of the diagonal; shifted line by line
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=100, facecolor="white")
    plt.close(fig)
    image = Image.open(buffer).convert("RGB")
    if len(png := _png(image)) > SMALL:
        png = _png(image.quantize(256, dither=Image.Dither.NONE))
    _display(png, alt)


def grid(
    images: Any,
    cols: int = 8,
    scale: int = 3,
    *,
    alt: str,
    vmin: float = -1.0,
    vmax: float = 1.0,
    titles: Sequence[str] | None = None,
) -> None:
    """Display a batch of pictures as tiles, each pixel `scale` screen pixels wide, all on one fixed range of values.

    Args:
        images: (N, H, W), (N, 1, H, W) or (N, 3, H, W), numbers; values outside [vmin, vmax] are clipped.
        cols: tiles in a row.
        scale: whole magnification.
        alt: description, one line of 20 to 200 characters.
        vmin, vmax: the values shown as black and as white.
        titles: a short text above each tile, N of them.
    Raises:
        ValueError: if the shape, the range, the description or the number of titles is wrong, or a value is NaN.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    alt = _description(alt)
    pixels = torch.as_tensor(images).detach().to("cpu", torch.float64)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not pixels.numel():
        raise ValueError(f"images: expected (N, H, W), (N, 1, H, W) or (N, 3, H, W), got {tuple(pixels.shape)}")
    if torch.isnan(pixels).any():
        raise ValueError("images: expected numbers, got NaN")
    if cols < 1 or scale < 1 or not vmin < vmax:
        raise ValueError(f"grid: expected cols >= 1, scale >= 1, vmin < vmax, got {cols}, {scale}, {vmin}, {vmax}")
    if titles is not None and len(titles) != len(pixels):
        raise ValueError(f"titles: expected {len(pixels)}, one per image, got {len(titles)}")
    tiles = ((pixels.clamp(vmin, vmax) - vmin) / (vmax - vmin) * 255).round().to(torch.uint8).numpy()
    tiles = tiles.transpose(0, 2, 3, 1).repeat(scale, axis=1).repeat(scale, axis=2)  # (N, H, W, C)
    count, height, width, channels = tiles.shape

    font = _font() if titles else None
    cell = max([width, *(int(font.getlength(title)) + 1 for title in titles)]) if titles else width
    head = 16 if titles else 0
    cols, rows = min(cols, count), -(-count // min(cols, count))
    down, right = head + height + GUTTER, cell + GUTTER
    sheet = np.full((rows * down - GUTTER, cols * right - GUTTER, channels), 255, np.uint8)
    corners = [(i // cols * down, i % cols * right) for i in range(count)]
    for tile, (top, left) in zip(tiles, corners, strict=True):
        sheet[top + head : top + head + height, left : left + width] = tile
    picture = Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet)
    for title, (top, left) in zip(titles or (), corners, strict=False):
        ImageDraw.Draw(picture).text((left, top), title, font=font, fill=0 if channels == 1 else (0, 0, 0))
    _display(_png(picture), alt)


def _description(alt: Any) -> str:
    if not isinstance(alt, str) or not 20 <= len(alt) <= 200 or len(alt.splitlines()) != 1:
        got = f"{len(alt)} characters" if isinstance(alt, str) else type(alt).__name__
        raise ValueError(f"alt: expected a description in one line of 20 to 200 characters, got {got}")
    return alt


def _font() -> Any:
    """Matplotlib's own type, so that a grid looks the same on every machine."""
    from pathlib import Path

    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)


def _png(image: Image) -> bytes:
    """The same bytes for the same pixels: no date, no version, best compression."""
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _display(png: bytes, alt: str) -> None:
    from IPython.display import display

    display(_Described(png, alt))


class _Described:
    """What the notebook stores: the picture, and its description as the plain text that the tests compare."""

    def __init__(self, png: bytes, alt: str):
        self.png, self.alt = png, alt

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/png": base64.b64encode(self.png).decode(), "text/plain": repr(self)}
