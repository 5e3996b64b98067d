"""The rooms of the house: imports go downward, only the command line prints, docstrings say what is true."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "segment"

# Each room may import the rooms before it; two of one level never import each other. Leaf rooms serve all but
# the kernels, and import only leaf rooms.
APPLICATIONS = {"table", "photo", "digits", "video"}
LEVELS = [
    {"kernels"},
    {"em", "data"},
    {"mixture"},
    {"consensus", "sequence", "grid"},
    APPLICATIONS,
    {"lab"},
    {"report"},
    {"cli"},
]
LEAVES = {
    "_version",
    "archive",
    "datasets",
    "errors",
    "memory",
    "output",
    "parallel",
    "scratch",
    "stopwatch",
    "style",
    "words",
}
# The face of the package and the entry point stand above everything.
TOPS = {"", "__main__"}
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(_modules())


def _imports(path):
    """Yield the modules of this package that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "segment")
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: relative import at line {node.lineno}; write the full name")
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "segment":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


GRAPH = {name: set(_imports(path)) - {name} for name, path in MODULES.items()}


def _room(module):
    return module.partition(".")[2].partition(".")[0]


def _may_import(importer, imported):
    if importer in TOPS:
        return True
    if importer == imported:
        return True
    if importer in LEAVES:
        return imported in LEAVES
    if imported in LEAVES:
        return importer != "kernels"
    return imported in LEVEL and LEVEL[imported] < LEVEL[importer]


def test_every_module_stands_in_a_room():
    strays = {_room(module) for module in MODULES} - set(LEVEL) - LEAVES - TOPS
    assert not strays, f"give {strays} a level here and in docs/design.md"


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module):
    wrong = [name for name in GRAPH[module] if not _may_import(_room(module), _room(name))]
    assert not wrong, f"{module} imports {wrong}; docs/design.md has the levels"


def _cycle(graph):
    """Return the modules of one import cycle, or nothing."""
    finished, path = set(), []

    def visit(module):
        if module in path:
            return path[path.index(module) :]
        if module in finished:
            return []
        path.append(module)
        for name in sorted(graph[module]):
            if found := visit(name):
                return found
        path.pop()
        finished.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module))), [])


def test_no_import_is_circular():
    # What `segment/__init__.py` names is imported when it is used.
    graph = {name: imported for name, imported in GRAPH.items() if name != "segment"}
    graph = {name: imported & set(graph) for name, imported in graph.items()}
    assert _cycle(graph) == []


def _kernels_of_others(module, imported):
    """Return what a file of kernels imports besides the decorator; a room's `__init__` is no such file."""
    if _room(module) != "kernels" or MODULES.get(module, Path()).name == "__init__.py":
        return set()
    return imported - {"segment.kernels.compile"}


@pytest.mark.parametrize("module", [name for name in MODULES if _room(name) == "kernels"])
def test_kernel_files_stand_alone(module):
    """Numba's cache keys a kernel by its own file: an edit of a kernel imported from another goes unseen."""
    found = _kernels_of_others(module, GRAPH[module])
    assert not found, (
        f"{module} imports {sorted(found)}; only kernels/compile may be imported (docs/design.md)"
    )


def test_the_rules_can_fail():
    assert _kernels_of_others("segment.kernels.image.specks", {"segment.kernels.image.colors"})
    assert not _kernels_of_others("segment.kernels.image.specks", {"segment.kernels.compile"})
    assert not _may_import("kernels", "mixture")
    assert not _may_import("kernels", "errors")
    assert not _may_import("photo", "digits")
    assert not _may_import("errors", "mixture")
    assert _may_import("lab", "digits")
    assert _may_import("digits", "output")
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert _cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def _calls(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


# scikit-learn's `verbose` prints, so its stand-in does.
MAY_PRINT = {"segment.mixture.estimators.base"}


@pytest.mark.parametrize(
    "module", [name for name in MODULES if _room(name) != "cli" and name != "segment.__main__"]
)
def test_only_the_command_line_prints_and_exits(module):
    forbidden = {"sys.exit", "exit", "quit", "os._exit", "click.echo", "sys.stdout.write", "sys.stderr.write"}
    forbidden |= set() if module in MAY_PRINT else {"print"}
    found = [f"line {line}: {name}" for name, line in _calls(MODULES[module]) if name in forbidden]
    assert not found


def test_no_pyplot():
    """Figures are objects here: pyplot keeps global state and leaks figures."""
    guilty = [
        name for name, path in MODULES.items() if "matplotlib.pyplot" in path.read_text(encoding="utf-8")
    ]
    assert guilty == []


# --- docstrings ---------------------------------------------------------------------------------------


def _public_callables():
    """Yield what the rooms export, and the public methods of exported classes."""
    for room in (
        "segment",
        "segment.mixture",
        "segment.sequence",
        "segment.photo",
        "segment.digits",
        "segment.video",
    ):
        module = importlib.import_module(room)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield f"{room}.{name}", value
            if inspect.isclass(value):
                for method_name, method in inspect.getmembers(value, inspect.isroutine):
                    owned = (
                        method.__qualname__.startswith(f"{value.__name__}.")
                        if hasattr(method, "__qualname__")
                        else False
                    )
                    if owned and not method_name.startswith("_"):
                        yield f"{room}.{name}.{method_name}", method


def _sections(docstring):
    """Split a numpydoc docstring into its sections."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _documented_names(section):
    """Return the names in a Parameters section: `a, b : int`."""
    heads = [line.split(" : ")[0] for line in section.splitlines() if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def _argument_names(function):
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def test_sections_are_understood():
    text = (
        "Do it.\n\nParameters\n----------\na, b : int\n    Two.\n**rest\n    More.\n\nReturns\n-------\nint\n"
    )
    assert set(_sections(text)) == {"Parameters", "Returns"}
    assert _documented_names(_sections(text)["Parameters"]) == ["a", "b", "rest"]


PUBLIC = dict(_public_callables())


@pytest.mark.parametrize("name", PUBLIC)
def test_documented_arguments_are_those_of_the_signature(name):
    function = PUBLIC[name]
    assert function.__doc__, f"{name} has no docstring"
    sections = _sections(function.__doc__)
    if "Parameters" in sections:
        documented = _documented_names(sections["Parameters"])
        assert [a for a in _argument_names(function) if a in documented] == documented


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name.rpartition(".")[0] in ("segment", "segment.mixture")]
)
def test_functions_for_all_document_every_argument(name):
    sections = _sections(PUBLIC[name].__doc__)
    assert _documented_names(sections["Parameters"]) == _argument_names(PUBLIC[name])
    assert "Returns" in sections
