"""Every [lint] rule on every notebook. `python -m pytest tests/static -k 1.1` looks at one."""

import pytest

import lint_code
import lint_exercises
import lint_outputs
import lint_text
from lesson import lessons

RULES = [*lint_text.RULES, *lint_code.RULES, *lint_exercises.RULES, *lint_outputs.RULES]


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.name)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook(rule, lesson):
    violations = rule(lesson)
    assert not violations, "\n".join([lesson.name, *violations])
