"""Two small things for the reader's hand: a prediction before a run, and an error that is meant."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from string import ascii_lowercase

from denoising.nb.claims import ClaimError

__all__ = ["expect", "predict"]


def predict(key: str, options: Sequence[str], mine: str | None = None) -> None:
    """Print the options of a prediction, and the reader's choice once `mine` is set. Never blocks.

    Args:
        key: short name of the question.
        options: two or more answers.
        mine: the letter or the text of one of them; None before the reader has chosen.
    Raises:
        ValueError: if there are fewer than two options, or `mine` is none of them.
    Example:
        >>> predict("noise", ["less", "more"], mine="b")
        predict noise: (a) less  (b) more
        your choice: (b) more
    """
    if isinstance(options, str) or not 2 <= len(options) <= len(ascii_lowercase):
        raise ValueError(f"options: expected a list of two or more answers, got {options!r}")
    lettered = dict(zip(ascii_lowercase, options, strict=False))
    print(f"predict {key}: " + "  ".join(f"({letter}) {text}" for letter, text in lettered.items()))
    if mine is None:
        print('your choice: none yet (write mine="a", or another letter, and run the cell again)')
        return
    chosen = [letter for letter, text in lettered.items() if mine in (letter, text)]
    if not chosen:
        raise ValueError(f"mine: expected one of {', '.join(lettered)} or the text of an option, got {mine!r}")
    print(f"your choice: ({chosen[-1]}) {lettered[chosen[-1]]}")


@contextmanager
def expect(*errors: type[BaseException]) -> Iterator[None]:
    """Run a block that must raise one of `errors`, and print its message instead of a traceback.

    Raises:
        ClaimError: if the block raises nothing. Another error passes through.
    Example:
        >>> with expect(ValueError):
        ...     float("five")
        ValueError: could not convert string to float: 'five'
    """
    try:
        yield
    except errors as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise ClaimError(f"expected {' or '.join(error.__name__ for error in errors)}, nothing was raised")
