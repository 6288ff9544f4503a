"""Sliders as an extra: the figure stands there without them, and every control has a name and a start value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from denoising.nb.session import live

__all__ = ["Choice", "Slider", "choice", "explore", "slider"]


def slider(lo: float, hi: float, start: float, step: float | None = None, label: str | None = None) -> "Slider":
    """A number between `lo` and `hi` for `explore`; whole numbers if all that is given is whole.

    Args:
        lo, hi, start: bounds and first value, lo <= start <= hi.
        step: distance between neighbours; 1 for whole numbers, else a hundredth of the range.
        label: text beside it; the argument's name if None.
    Raises:
        ValueError: if the bounds are out of order.
    """
    if not lo <= start <= hi or lo == hi or (step is not None and step <= 0):
        raise ValueError(f"slider: expected lo <= start <= hi, lo < hi and step > 0, got {lo}, {start}, {hi}, {step}")
    whole = all(isinstance(number, int) for number in (lo, hi, start, step or 1))
    return Slider(lo, hi, start, step or (1 if whole else (hi - lo) / 100), label, whole)


def choice(options: Sequence[Any], start: Any, label: str | None = None) -> "Choice":
    """One of `options` for `explore`.

    Raises:
        ValueError: if `start` is none of them.
    """
    options = tuple(options)
    if start not in options:
        raise ValueError(f"choice: expected start to be one of {options}, got {start!r}")
    return Choice(options, start, label)


def explore(draw: Callable[..., Any], **controls: "Slider | Choice") -> None:
    """Draw once with the start values; in a live notebook, let the reader move the controls and draw again below.

    Args:
        draw: called with one keyword argument per control; shows a figure (`nb.show`, `nb.grid`) in under 0.5 s.
        controls: made by `slider` and `choice`.
    Raises:
        ValueError: if there is no control, or one was not made by `slider` or `choice`.
    """
    strange = [name for name, control in controls.items() if not isinstance(control, Slider | Choice)]
    if strange or not controls:
        raise ValueError(f"explore: expected controls made by slider or choice, got {strange or 'none'}")
    values = {name: control.start for name, control in controls.items()}
    draw(**values)
    if not live():
        named = "; ".join(control.describe(name) for name, control in controls.items())
        print(f"explore: {named} (in a live notebook)")
        return

    import ipywidgets
    from IPython.display import display

    area = ipywidgets.Output()
    handles = {name: control.widget(name) for name, control in controls.items()}

    def redraw(_: Any) -> None:
        area.clear_output(wait=True)
        with area:  # in a callback only: at the top level of a cell its content would be lost in the stored output
            draw(**{name: handle.value for name, handle in handles.items()})

    for handle in handles.values():
        handle.observe(redraw, names="value")
    display(ipywidgets.VBox([*handles.values(), area]))


@dataclass(frozen=True)
class Slider:
    """A bounded number with a start value. Made by `slider`."""

    lo: float
    hi: float
    start: float
    step: float
    label: str | None
    whole: bool

    def describe(self, name: str) -> str:
        """One fixed phrase for readers without widgets."""
        return f"{self.label or name} from {self.lo:g} to {self.hi:g}, starts at {self.start:g}"

    def widget(self, name: str) -> Any:
        """The ipywidgets slider; it reports when it is released, not while it moves."""
        import ipywidgets

        kind = ipywidgets.IntSlider if self.whole else ipywidgets.FloatSlider
        return kind(
            value=self.start, min=self.lo, max=self.hi, step=self.step, description=self.label or name,
            continuous_update=False, style={"description_width": "initial"}, layout={"width": "30em"},
        )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One of several values with a start value. Made by `choice`."""

    options: tuple[Any, ...]
    start: Any
    label: str | None

    def describe(self, name: str) -> str:
        """One fixed phrase for readers without widgets."""
        return f"{self.label or name} one of {', '.join(map(str, self.options))}, starts at {self.start}"

    def widget(self, name: str) -> Any:
        """The ipywidgets drop-down list."""
        import ipywidgets

        style = {"description_width": "initial"}
        return ipywidgets.Dropdown(options=self.options, value=self.start, description=self.label or name, style=style)
