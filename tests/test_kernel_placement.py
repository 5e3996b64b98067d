"""What stands where in kernels: sums that LLVM may reorder come out the same wherever arrays lie in memory.

A loop that sums and writes is compiled twice, vectorized and not, and which runs is decided by whether what
it writes might overlap with what it reads: by where arrays lie. With reassociation the two differ.
"""

import ast
import importlib
from pathlib import Path

import numba
import numpy as np
import pytest

import segment
from segment.kernels.em.basin import fit_pairs
from segment.kernels.graph.kmeans import spread_rows
from segment.kernels.graph.neighbors import update_neighbors
from segment.kernels.image.guided import LANES, label_rows, solve_coefficients
from segment.kernels.image.scattering import average, filtered_modulus, transform
from segment.kernels.regions.merging import _cost
from segment.photo.regions.cost import shipped_cost

KERNELS = Path(segment.__file__).parent / "kernels"
FILES = sorted(path for path in KERNELS.rglob("*.py") if path.name not in ("__init__.py", "compile.py"))


def _flags(function, module):
    """Return the fastmath flags of a decorated function, by name or as typed."""
    for decorator in function.decorator_list:
        for keyword in getattr(decorator, "keywords", ()):
            if keyword.arg == "fastmath":
                return eval(compile(ast.Expression(keyword.value), "", "eval"), vars(module))
    return ()


def _sums_and_writes(loop):
    """Tell whether an innermost loop adds to a scalar that outlives its body, and writes to an array."""
    nodes = [node for statement in loop.body for node in ast.walk(statement)]
    if any(isinstance(node, ast.For | ast.While) for node in nodes):
        return False
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    own = {target.id for target in targets if isinstance(target, ast.Name)}
    added = [node.target for node in nodes if isinstance(node, ast.AugAssign)]
    sums = any(isinstance(target, ast.Name) and target.id not in own for target in added)
    return sums and any(isinstance(target, ast.Subscript) for target in targets + added)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_loop_that_may_be_reordered_both_sums_and_writes(path):
    name = "segment.kernels." + ".".join(path.relative_to(KERNELS).with_suffix("").parts)
    module = importlib.import_module(name)
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef) and "reassoc" in _flags(function, module):
            for loop in ast.walk(function):
                if isinstance(loop, ast.For) and _sums_and_writes(loop):
                    pytest.fail(f"{path}:{loop.lineno}: {function.name} sums and writes in one loop: part it")


def test_such_a_loop_would_be_found():
    code = "for i in range(9):\n    y = x[i]\n    y += 1\n    out[i] = y\n"
    assert not _sums_and_writes(ast.parse(code).body[0])
    assert _sums_and_writes(ast.parse(code + "    total += y\n").body[0])


def _is_kernel(function):
    return any("kernel" in ast.unparse(decorator) for decorator in function.decorator_list)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_parts_of_kernels_are_called_by_kernels_alone(path):
    """What has an underscore is kept inside the kernels that call it: Python compiles it in every run."""
    body = ast.parse(path.read_text()).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    parts = {f.name for f in functions if _is_kernel(f) and f.name.startswith("_")}
    for node in body:
        if not (isinstance(node, ast.FunctionDef) and _is_kernel(node)):
            used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)} & parts
            assert not used, f"{path}: {sorted(used)} must lose the underscore"


def _neighbors(rng):
    rows, numbers = rng.normal(size=(140, 37)).astype(np.float32), np.arange(140, dtype=np.int32)
    bounds = np.full((70, 70), -1e9, np.float32)
    distances, found = np.full((140, 5), np.inf, np.float32), np.full((140, 5), -1, np.int32)
    norms, limits = np.zeros(140, np.float32), np.full(140, np.inf, np.float32)
    return update_neighbors, [bounds, rows, norms, numbers, 0, 70, limits, distances, found]


def _spread(rng):
    rows = rng.normal(size=(90, 37)).astype(np.float32)
    return spread_rows, [rows, rng.random(12), np.zeros(12, np.int64)]


def _solve(rng):
    guide = np.hstack([rng.random((50, 3)), 1 + rng.random((50, 6))]).astype(np.float32)
    return solve_coefficients, [guide, 1e-3, rng.random((50, 4, LANES)).astype(np.float32)]


def _labels(rng):
    guide = rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)
    coefficients = rng.normal(size=(5, 9, 4, 6)).astype(np.float32)
    shares = (np.arange(9) % 2 / 2).astype(np.float32)
    return label_rows, [guide, coefficients, np.arange(9) // 2, shares, 2, 0, np.zeros((9, 11), np.int32)]


def _turns(size):
    angles = 2 * np.pi * np.arange(size // 2) / size
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _transform(rng):
    return transform, [rng.normal(size=(2, 8, 9, 21)).astype(np.float32), *_turns(8)]


def _filter(rng):
    spectra = rng.normal(size=(2, 8, 9, 21)).astype(np.float32)
    filters = rng.normal(size=(2, 8, 8)).astype(np.float32)
    return filtered_modulus, [spectra, filters, *_turns(4), np.zeros((2, 4, 5, 21), np.float32)]


def _average(rng):
    waves, weights = rng.normal(size=(2, 8, 9, 21)), rng.normal(size=(2, 8))
    return average, [
        waves.astype(np.float32),
        weights.astype(np.float32),
        np.empty((2, 2, 2, 21), np.float32),
    ]


def _pairs(rng):
    weights, means, variances = rng.uniform(0.2, 0.8, 4), rng.normal(size=(4, 2)), 1 + rng.random((4, 2))
    outputs = [np.empty(4), np.empty(4, np.int64)]
    return fit_pairs, [rng.normal(size=999), weights, means, variances, 1e-6, 1e-9, 50, *outputs]


@pytest.mark.parametrize(
    "case", [_neighbors, _spread, _solve, _labels, _transform, _filter, _average, _pairs]
)
def test_results_do_not_depend_on_where_arrays_lie(case):
    kernel, arguments = case(np.random.default_rng(0))
    rng, found = np.random.default_rng(1), set()
    for _ in range(200):
        arena = np.empty(1 << 20, np.uint8)
        place, moved = 0, [None] * len(arguments)
        for i in rng.permutation(len(arguments)):
            value = arguments[i]
            if isinstance(value, np.ndarray):
                place = -(-(place + int(rng.integers(0, 200))) // value.itemsize) * value.itemsize
                moved[i] = arena[place : place + value.nbytes].view(value.dtype).reshape(value.shape)
                moved[i][...] = value
                place += value.nbytes
            else:
                moved[i] = value
        kernel(*moved)
        found.add(b"".join(value.tobytes() for value in moved if isinstance(value, np.ndarray)))
    assert len(found) == 1


def test_the_cost_of_a_merge_does_not_depend_on_where_arrays_lie():
    quadratic = shipped_cost().merge
    rng, found = np.random.default_rng(1), set()
    x = rng.normal(size=len(quadratic.mean))
    cost = numba.njit(lambda x, quadratic: _cost(x, quadratic))
    for _ in range(300):
        arena = np.empty(1 << 12)
        start = int(rng.integers(0, 500))
        arena[start : start + len(x)] = x
        found.add(cost(arena[start : start + len(x)], quadratic))
    assert len(found) == 1
