"""Rules for the package: floors, size, names, types, docstrings (design; conventions 14).

A rule takes {dotted module name: source} and returns violations.
"""

import ast

from lesson import ROOT, dotted

LINES = 300
FLOORS = {
    "rng": 0, "validate": 0, "nb": 0,
    "schedules": 1, "networks": 1, "datasets": 1, "procedural": 1, "scenes": 1, "metrics": 1,
    "denoisers": 2,
    "exact": 3,
    "jacobians": 1, "subspaces": 1, "training_state": 1,
    "likelihood": 4, "training": 4, "samplers": 4, "guidance": 4, "classify": 4, "features": 4,
    "zoo": 5,
    "checks": 6,
    "classroom": 6,
}  # fmt: skip
NETWORK = {"requests", "urllib", "httpx", "urllib3"}


def modules():
    """The package's sources by dotted name; a package is named like its folder."""
    found = {}
    for path in sorted((ROOT / "lib").rglob("*.py")):
        parts = path.relative_to(ROOT / "lib").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return found


def imports(name, source, known):
    """The modules of this package that a module names in an import, also inside functions, but not only for types."""
    tree = ast.parse(source)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and dotted(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative
                parents = name.split(".")[: -node.level + (f"{name}." in " ".join(known))]
                base = ".".join([*parents, *([base] if base else [])])
            whole = {f"{base}.{alias.name}" for alias in node.names} & set(known)
            found |= whole if len(whole) == len(node.names) else whole | {base}
    return {one for one in found if one.split(".")[0] == "denoising"} - {name}


def floor(module):
    parts = module.split(".")
    return FLOORS.get(parts[1]) if len(parts) > 1 else -1


def floors(sources):
    bad = [f"{name}: has no floor; add it to FLOORS" for name in sources if floor(name) is None]
    for name, source in sources.items():
        for other in sorted(imports(name, source, sources)):
            if floor(name) is not None and (floor(other) is None or floor(other) > floor(name)):
                bad.append(f"{name} (floor {floor(name)}) imports {other} (floor {floor(other)})")
    return bad


def cycles(sources):
    needs = {name: imports(name, source, sources) & set(sources) for name, source in sources.items()}
    bad, done = [], set()

    def visit(name, path):
        if name in path:
            bad.append("import cycle: " + " -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for other in sorted(needs[name]):
                visit(other, [*path, name])
            done.add(name)

    for name in sorted(sources):
        visit(name, [])
    return bad


def form(sources):
    bad = []
    for name, source in sources.items():
        tree = ast.parse(source)
        lines = len(source.splitlines())
        if lines > LINES:
            bad.append(f"{name}: {lines} lines, at most {LINES}")
        if not ast.get_docstring(tree):
            bad.append(f"{name}: no docstring")
        if exported(tree) is None and len(tree.body) > 1 and name != "denoising" and not name.endswith("__main__"):
            bad.append(f"{name}: no __all__")
        for node in tree.body:
            work = isinstance(node, ast.For | ast.While | ast.With)
            if work or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
                bad.append(f"{name}, line {node.lineno}: does work at import")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                if any(alias.name == "*" for alias in node.names):
                    bad.append(f"{name}, line {node.lineno}: a star import")
                heads = {alias.name for alias in node.names} if isinstance(node, ast.Import) else {node.module or ""}
                if {head.split(".")[0] for head in heads} & NETWORK:
                    bad.append(f"{name}, line {node.lineno}: a download; the default path works offline")
            elif isinstance(node, ast.Assert):
                bad.append(f"{name}, line {node.lineno}: assert; raise a ValueError that says what came")
            elif isinstance(node, ast.Attribute) and dotted(node) in ("sys.path", "os.chdir"):
                bad.append(f"{name}, line {node.lineno}: {dotted(node)}")
    return bad


def exported(tree):
    """The names in __all__, or None."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(dotted(target) == "__all__" for target in node.targets):
            return ast.literal_eval(node.value)
    return None


def public(sources):
    """Public functions and methods are typed, everything public has a docstring."""
    bad = []
    for name, source in sources.items():
        tree = ast.parse(source)
        names = set(exported(tree) or ())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
                if not ast.get_docstring(node):
                    bad.append(f"{name}.{node.name}: no docstring")
                methods = node.body if isinstance(node, ast.ClassDef) else [node]
                bad += [
                    f"{name}.{node.name}: {one.name} is not fully typed"
                    for one in methods
                    if isinstance(one, ast.FunctionDef) and not one.name.startswith("_") and not typed(one)
                ]
    return bad


def typed(function):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return function.returns is not None and all(
        one.annotation for one in every if one is not None and one.arg not in ("self", "cls")
    )


RULES = (floors, cycles, form, public)
