"""Rules for the repository: its size, and what no file may name.

A rule takes {path: bytes} and returns violations.
"""

import json
import re
import subprocess

from lesson import ROOT

TRACKED_BYTES = 60 * 2**20
NOTEBOOKS_BYTES = 12 * 10**6
PATHS = re.compile(r"(?<![\w.~$}/:*-])/(?:home|root|work|Users)/\w+")
HOSTS = re.compile(
    r"\b(?:pypi|pythonhosted|npmjs|anaconda|debian|ubuntu|conda|golang|rubygems|yarnpkg)\.(?:org|com)\b"
    r"|\bdownload\.pytorch\.(?:org)\b|\bcrates\.(?:io)\b"
)
TEXT = {"", ".py", ".md", ".toml", ".txt", ".cfg", ".yml", ".yaml", ".json", ".ipynb", ".cff", ".css", ".rst", ".sh"}


def files():
    """What git tracks, or would track with the next commit."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return {name: (ROOT / name).read_bytes() for name in names if name and (ROOT / name).is_file()}


def size(tree):
    total = sum(map(len, tree.values()))
    lessons = sum(len(content) for name, content in tree.items() if name.startswith("notebooks/"))
    bad = [f"{total / 2**20:.1f} MiB tracked, at most {TRACKED_BYTES // 2**20}"] if total > TRACKED_BYTES else []
    return bad + ([f"notebooks/ holds {lessons / 1e6:.1f} MB, at most 12"] if lessons > NOTEBOOKS_BYTES else [])


def places(tree):
    """No path of somebody's machine and no host of a package registry."""
    bad = []
    for name, content in tree.items():
        suffix = "." + name.rsplit("/", 1)[-1].rpartition(".")[2] if "." in name.rsplit("/", 1)[-1] else ""
        if suffix in TEXT:
            text = readable(name, content)
            bad += [f"{name}: {found}" for pattern in (PATHS, HOSTS) for found in sorted(set(pattern.findall(text)))]
    return bad


def readable(name, content):
    text = content.decode("utf-8", errors="replace")
    if name.endswith(".ipynb"):  # a picture's letters may look like anything
        cells = json.loads(text)["cells"]
        texts = ["".join(cell["source"]) for cell in cells]
        texts += ["".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", [])]
        return "\n".join(texts)
    return text


def notebook_names(tree):
    """notebooks/<part>-<name>/<part>.<n>-<slug>.ipynb, and nothing else there."""
    pattern = re.compile(r"notebooks/(\d)-[a-z0-9-]+/\1\.\d+-[a-z0-9-]+\.ipynb")
    return [f"{name}: name" for name in tree if name.startswith("notebooks/") and not pattern.fullmatch(name)]


def timings_table(tree):
    """The table of times names notebooks that exist."""
    table = json.loads(tree.get("tests/timings.json", b"{}"))
    return [f"tests/timings.json: {name} is no notebook" for name in table if f"notebooks/{name}" not in tree]


def one_settings_file(tree):
    """A pytest.ini beside pyproject.toml would hide its settings."""
    return [f"{name}: hides the settings in pyproject.toml" for name in tree if name in ("pytest.ini", "tox.ini")]


RULES = (size, places, notebook_names, timings_table, one_settings_file)
