"""A stub that was left alone is no mistake: every check of every notebook says so, and a strict one refuses it."""

import importlib
import pkgutil

import pytest

from denoising import checks
from denoising.checks import WrongAnswer

ALL = [
    getattr(module, name)
    for found in pkgutil.iter_modules(checks.__path__)
    for module in [importlib.import_module(f"denoising.checks.{found.name}")]
    for name in module.__all__
    if name.startswith("check_")
]

OTHER_NAMES = {"check_lora": "lora_parts", "check_choice_of_control": "control"}
ASK_FOR_A_LETTER = ("check_choice_of_control",)


def test_all_checks_are_here():
    assert len(ALL) == len({check.__name__ for check in ALL}) >= 40


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("answer", [None, ...])
def test_no_answer_is_not_a_wrong_answer(check, answer, capsys):
    name = OTHER_NAMES.get(check.__name__, check.__name__.removeprefix("check_"))
    given = answer if check.__name__ in ASK_FOR_A_LETTER else lambda *_: answer
    check(given)
    assert capsys.readouterr().out == f"[ ] {name}: not attempted yet\n"
    with pytest.raises(WrongAnswer, match=f"{name}: no answer yet"):
        check(given, strict=True)
    assert capsys.readouterr().out == ""
