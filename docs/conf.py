"""The static site: `make site`. It shows what is stored and runs no notebook; its source is the course's own folder.

`make site INSTRUCTOR=1` builds the instructor's site beside it: the same with the answer keys (sphinx -t instructor).
"""

import ast
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib"))

from denoising.nb import answers  # noqa: E402

project = "Denoising"
author = "The authors of Denoising"
copyright = "the authors of Denoising. Code: MIT. Text and figures: CC BY 4.0"
html_title = "Denoising"
root_doc = "README"
include_patterns = [
    "README.md",
    "docs/*.md",
    "docs/generated/*.md",
    "data/README.md",
    "data/checkpoints/*/README.md",
    "classroom/README.md",
    "notebooks/**.ipynb",
]
exclude_patterns = ["**/.ipynb_checkpoints"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
default_role = "literal"  # our docstrings write code between single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_mock_imports = ["nbgrader"]  # the site needs no extra but its own
suppress_warnings = ["ref.python"]  # fields of several records share their names
napoleon_use_ivar = True  # fields of a record are described once, with the record

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "use_download_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_sidebars = {"**": ["navbar-logo.html", "sbt-sidebar-nav.html"]}  # the search field stands in the head of the page

PARTS = {
    "0-start": "Start",
    "1-ddpm": "DDPM theory",
    "2-score": "Score estimation",
    "3-subspaces": "Subspaces",
    "4-guidance": "Guidance",
    "5-classification": "Classification",
    "6-fast-sampling": "Fast sampling",
    "7-architectures": "Architectures",
    "8-applications": "Applications",
}
PAGES = [
    "docs/notation",
    "docs/glossary",
    "docs/scoreboard",
    "docs/teaching",
    "classroom/README",
    "docs/adding-a-notebook",
]
RECORDS = ["data/README", "data/checkpoints/*/README", "docs/generated/times", "docs/bench", "docs/mutants", "docs/gpu"]


def contents(app, docname, source):
    """The table of contents hangs on the README, which must stay plain for its other readers."""
    if docname != root_doc:
        return
    blocks = [
        toctree(f"{part[0]} {name}", [f"notebooks/{part}/*"])
        for part, name in PARTS.items()
        if any((ROOT / "notebooks" / part).glob("*.ipynb"))
    ]
    blocks += [toctree("To look up", [*PAGES, "docs/generated/library"]), toctree("Records", RECORDS)]
    if "instructor" in app.tags:
        blocks.append(toctree("For teachers", ["docs/generated/answers"]))
    source[0] += "\n\n" + "\n\n".join(blocks) + "\n"


def toctree(caption, pages):
    return "\n".join(["```{toctree}", ":hidden:", ":glob:", f":caption: {caption}", "", *pages, "```"])


def figures(app, docname, source):
    """The text of a stored figure becomes the description of its picture."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/plain", []))
            if "image/png" in output.get("data", {}) and text.startswith("Figure: "):
                cell["metadata"].setdefault("mystnb", {}).setdefault("image", {})["alt"] = text.removeprefix("Figure: ")
    source[0] = json.dumps(notebook)


def generate(app):
    """Pages that follow from the code: the reference of the library, the measured times, a teacher's answer keys."""
    folder = ROOT / "docs" / "generated"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lib = ROOT / "lib"
    listed = []
    for path in sorted((lib / "denoising").rglob("*.py")):
        name = ".".join(path.relative_to(lib).with_suffix("").parts).removesuffix(".__init__")
        if name.endswith("__main__") or name == "denoising":
            continue
        first = ast.get_docstring(ast.parse(path.read_text("utf-8"))).splitlines()[0]
        listed.append((name, first))
        # what a package only passes on is described where it is written
        options = "   :members:\n   :show-inheritance:\n" + "   :ignore-module-all:\n" * (path.name == "__init__.py")
        text = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{options}```\n"
        (folder / f"{name}.md").write_text(text, "utf-8")
    rows = [f"| [{name}]({name}.md) | {first} |" for name, first in listed]
    toc = "\n".join(["```{toctree}", ":hidden:", "", *(name for name, _ in listed), "```"])
    head = ["# The library", "", "Each file has one job, and imports only from the floors below it.", ""]
    text = "\n".join([*head, "| module | its job |", "|---|---|", *rows, "", toc, ""])
    (folder / "library.md").write_text(text, "utf-8")
    (folder / "times.md").write_text(times(), "utf-8")
    if "instructor" in app.tags:
        (folder / "answers.md").write_text(answers.page(ROOT), "utf-8")


def times():
    """Seconds and memory of each notebook, as the storing script measured them."""
    measured = json.loads((ROOT / "tests" / "timings.json").read_text("utf-8"))
    rows = [
        f"| [{name.split('/')[1].split('-')[0]}](../../notebooks/{name}) | {cost['seconds']:g} | {cost['megabytes']} |"
        for name, cost in sorted(measured.items())
    ]
    head = "# Times\n\nMeasured when the outputs were stored, on one thread, two notebooks at a time.\n\n"
    return head + "\n".join(["| notebook | seconds | megabytes |", "|---|---:|---:|", *rows]) + "\n"


def plain(app, what, name, obj, options, lines):
    """Bars and stars in our docstrings are mathematics, not markup."""
    example = False
    for number, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            lines[number] = line.replace("|", r"\|").replace("*", r"\*")


def front_page(app, error):
    """Whoever opens the folder of the site finds the README."""
    if error is None and app.builder.format == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app):
    app.connect("builder-inited", generate)
    app.connect("source-read", contents)
    app.connect("source-read", figures)
    app.connect("autodoc-process-docstring", plain, priority=100)  # before napoleon writes markup of its own
    app.connect("build-finished", front_page)
