"""Rules for code cells: the one set-up cell, and what would break the comparison (conventions 1, 2, 7-10)."""

import ast
import re

from lesson import dotted, lines_of_code

FORBIDDEN_CALLS = {
    "clear_output": "redraws are lost in stored outputs",
    "update_display": "redraws are lost in stored outputs",
    "get_ipython": "no magics",
    "input": "never ask for keyboard input",
    "exec": "write it out",
    "eval": "write it out",
    "interact": "use nb.explore",
    "interactive_output": "use nb.explore",
    "interactive": "use nb.explore",
    "Output": "use nb.explore",
    "tqdm": "use nb.progress",
    "chdir": "a notebook runs where it is",
    "getcwd": "paths differ between machines",
    "system": "never call the shell",
    "popen": "never call the shell",
    "manual_seed": "use rng.spawn(name)",
    "manual_seed_all": "use rng.spawn(name)",
    "seed": "use rng.spawn(name)",
    "filterwarnings": "silence a third party inside the library",
    "simplefilter": "silence a third party inside the library",
    "savefig": "use nb.show",
    "set_matplotlib_formats": "figures are PNGs made by nb.show",
    "now": "dates differ between runs",
    "today": "dates differ between runs",
    "strftime": "dates differ between runs",
    "ctime": "dates differ between runs",
    "gethostname": "names of machines differ",
    "urlopen": "no downloads",
    "urlretrieve": "no downloads",
    "hf_hub_download": "no downloads",
    "snapshot_download": "no downloads",
}
FORBIDDEN_IMPORTS = {
    "subprocess", "requests", "urllib", "httpx", "huggingface_hub", "ipywidgets", "tqdm", "warnings", "platform",
    "socket", "datetime", "pip", "sys",
}  # fmt: skip
FORBIDDEN_NAMES = {"Out", "In", "__file__", "__version__", "_ih", "_oh"}
DATA_FILE = re.compile(r"(\.\.?/|data/|~/|/\w).*|.*\.(npy|npz|csv|json|pt|pth|pkl|safetensors|png|jpg|xz|gz|zip|txt)")
WIDGETS = 2


def setup_cell(lesson):
    second = lesson.cells[1]
    if second.kind != "code":
        return ["cell 2: expected the set-up cell"]
    bad = []
    if not re.search(r"^from denoising import .*\bnb\b", second.source, re.M):
        bad.append("cell 2: does not import nb from denoising")
    if not re.fullmatch(r"rng = nb\.setup\(seed=\d+\)", (lines_of_code(second.source) or [""])[-1]):
        bad.append("cell 2: the last line is not 'rng = nb.setup(seed=0)'")
    if not re.fullmatch(r"device: \w+", second.text.strip()):
        bad.append(f"cell 2: expected the one line 'device: ...', got {second.text.strip()!r}")
    for cell in lesson.code:
        imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(cell.tree))
        sets_up = any(name == "nb.setup" for name, _ in cell.calls)
        if cell is not second and (imports or sets_up):
            bad.append(f"{cell}: imports and nb.setup stand in cell 2 only")
    return bad


def plain_python(lesson):
    bad = []
    for cell in lesson.code:
        if re.search(r"^\s*(%|!)", cell.source, re.M):
            bad.append(f"{cell}: a magic or a shell command")
        else:
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                bad.append(f"{cell}: not Python ({error.msg})")
        if cell.source.rstrip().endswith(";"):
            bad.append(f"{cell}: ends in ';' (write `_ = ...`)")
        if "NBVAL" in cell.source or any(tag.startswith(("nbval", "pytest")) for tag in (t.lower() for t in cell.tags)):
            bad.append(f"{cell}: asks nbval to skip or ignore it")
    return bad


def forbidden(lesson):
    bad = []
    for cell in lesson.code:
        for name, node in cell.calls:
            last = name.rsplit(".", 1)[-1]
            if last in FORBIDDEN_CALLS and name != "rng.seed":
                bad.append(f"{cell}: {name}(): {FORBIDDEN_CALLS[last]}")
            if last == "display" and any(word.arg == "display_id" for word in node.keywords):
                bad.append(f"{cell}: display(display_id=...): its updates are lost in stored outputs")
            if any(word.arg == "download" for word in node.keywords):
                bad.append(f"{cell}: download=...: no downloads")
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                bad += [f"{cell}: imports {m}" for m in modules if m.split(".")[0] in FORBIDDEN_IMPORTS]
                if any(alias.name == "*" for alias in node.names):
                    bad.append(f"{cell}: a star import")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                if node.id in FORBIDDEN_NAMES or re.fullmatch(r"_+\d*|_i+\d*", node.id):
                    bad.append(f"{cell}: reads {node.id}")
            elif isinstance(node, ast.Attribute) and (dotted(node) == "sys.path" or node.attr == "__version__"):
                bad.append(f"{cell}: uses {dotted(node)}")
    return bad


def data_by_name(lesson):
    """Data come from denoising.datasets and denoising.zoo: no text in the code looks like a file."""
    return [
        f"{cell}: {node.value!r} looks like a file; use denoising.datasets or denoising.zoo"
        for cell in lesson.code
        for node in ast.walk(cell.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if "\n" not in node.value and " " not in node.value and DATA_FILE.fullmatch(node.value)
    ]


def figures(lesson):
    bad = []
    for cell in lesson.code:
        for name, node in cell.calls:
            words = {word.arg: word.value for word in node.keywords}
            if name in ("nb.show", "nb.grid"):
                bad += _alt(cell, name, words.get("alt"))
            if name == "plt.show":
                bad.append(f"{cell}: plt.show() leaves a figure without description; use nb.show")
            cmap = words.get("cmap")
            if isinstance(cmap, ast.Constant) and str(cmap.value).startswith(("jet", "hsv", "rainbow")):
                bad.append(f"{cell}: colour map {cmap.value}")
    widgets = sum(name == "nb.explore" for cell in lesson.code for name, _ in cell.calls)
    return bad + ([f"{widgets} widgets, at most {WIDGETS}"] if widgets > WIDGETS else [])


def _alt(cell, name, alt):
    if alt is None:
        return [f"{cell}: {name} without alt="]
    parts = [node.value for node in ast.walk(alt) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    text = "".join(parts)
    if isinstance(alt, ast.Constant) and not 20 <= len(text) <= 200:
        return [f"{cell}: alt text of {len(text)} characters, expected 20 to 200"]
    return [f"{cell}: alt text says '{m[0]}'"] if (m := re.search(r"(?i)\b(image|picture|figure) of\b", text)) else []


RULES = (setup_cell, plain_python, forbidden, data_by_name, figures)
