"""One environment, however it is made: make, plain pip and conda install the same project at the same versions."""

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = {"site": "myst_nb", "classroom": "nbgrader"}  # a module that tells whether the extra is installed
REMEDY = "renew the environment with `make env`, or write its versions down with `make constraints`"


def constraints() -> dict[str, Version]:
    """Name and version of every line of constraints.txt."""
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("ascii").splitlines():
        if not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = Version(version)
    return pins


def installed_with(*roots: str) -> dict[str, Version]:
    """Name and version of everything that these requirements bring into the present environment."""
    found, seen, todo = {}, set(), [Requirement(root) for root in roots]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if (name, extras := frozenset(wanted.extras or {""})) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            pytest.fail(f"{wanted.name} is not installed: {REMEDY}")
        found[name] = Version(package.version)
        needs = [Requirement(text) for text in package.requires or []]
        todo += [n for n in needs if n.marker is None or any(n.marker.evaluate({"extra": e}) for e in extras)]
    return found


def conda() -> tuple[list[str], list[str]]:
    """The conda part and the pip part of environment.yml."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    (pip_part,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    return [entry for entry in entries if isinstance(entry, str)], pip_part


def imported(folder: Path) -> set[str]:
    """The top-level modules that the Python files below a folder import."""
    names = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def test_constraints_are_exact_and_hold_no_place():
    for line in (ROOT / "constraints.txt").read_text("ascii").splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), f"constraints.txt: {line!r}"


def test_the_environment_holds_the_tested_versions():
    pins = constraints()
    have = {name: Version(version.public) for name, version in installed_with("denoising[test]").items()}
    wrong = {name: f"{have[name]}, tested {pins[name]}" for name in set(pins) & set(have) if have[name] != pins[name]}
    assert not wrong, f"installed: {wrong}; {REMEDY}"


@pytest.mark.skipif(sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="not where the file is made")
def test_every_package_is_pinned_and_every_pin_is_needed():
    present = [extra for extra, module in EXTRAS.items() if importlib.util.find_spec(module)]
    have = set(installed_with(f"denoising[{','.join(['test', *present])}]")) - {"denoising"}
    cuda = {name for name in have if name.startswith(("nvidia-", "cuda-")) or name == "triton"}  # torch pins its own
    assert have - cuda <= set(constraints()), REMEDY
    if len(present) == len(EXTRAS):
        assert have - cuda == set(constraints()), REMEDY


def test_conda_installs_what_make_installs():
    conda_part, pip_part = conda()
    assert pip_part == ["-c constraints.txt", "-e .[test]"]
    recipe = subprocess.run(["make", "-n", "-B", ".venv/installed"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "pip install -q -c constraints.txt -e '.[test]'" in recipe
    assert [entry.partition("=")[0] for entry in conda_part] == ["python", "pip"], "packages belong into pyproject.toml"


def test_conda_takes_a_python_that_the_course_allows():
    (python,) = [entry for entry in conda()[0] if entry.startswith("python=")]
    assert Version(python.removeprefix("python=")) in SpecifierSet(PROJECT["requires-python"])


def test_every_imported_package_is_named_in_pyproject():
    def declared(requirements: list[str]) -> set[str]:
        return {canonicalize_name(Requirement(text).name) for text in requirements}

    runtime = declared(PROJECT["dependencies"])
    classroom = declared(PROJECT["optional-dependencies"]["classroom"])  # imported where it is there
    testing = runtime | declared(PROJECT["optional-dependencies"]["test"]) | classroom
    known = packages_distributions()
    for folder, allowed in {"lib": runtime | classroom, "data": runtime, "tests": testing}.items():
        for module in imported(ROOT / folder) - sys.stdlib_module_names - {"denoising"}:
            names = {canonicalize_name(name) for name in known.get(module, [module])}
            local = any((ROOT / folder).rglob(f"{module}.py")) or any((ROOT / folder).rglob(f"{module}/*.py"))
            assert local or names & allowed, f"{folder}/ imports {module}, which pyproject.toml does not name"


def test_one_version_and_one_python_everywhere():
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cff["version"] == str(installed_with("denoising")["denoising"]), REMEDY
    minimum = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {minimum} or newer" in (ROOT / "README.md").read_text("utf-8")
    assert f"({minimum.replace('.', ', ')})" in (ROOT / "Makefile").read_text("utf-8")
