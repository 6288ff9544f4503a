"""The rules for the library and for the repository."""

import pytest

import lint_library
import lint_tree


@pytest.mark.parametrize("rule", lint_library.RULES, ids=lambda rule: rule.__name__)
def test_library(rule):
    violations = rule(lint_library.modules())
    assert not violations, "\n".join(violations)


@pytest.fixture(scope="module")
def tree():
    return lint_tree.files()


@pytest.mark.parametrize("rule", lint_tree.RULES, ids=lambda rule: rule.__name__)
def test_repository(rule, tree):
    violations = rule(tree)
    assert not violations, "\n".join(violations)
