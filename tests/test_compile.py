"""The kernel decorator: what it forbids, and a cache that cannot be written."""

import importlib.util
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core import caching

from segment.kernels.compile import kernel

# A module of its own, whose kernel's cache may or may not be writable; prints what the kernel returns.
MODULE = """
from segment.kernels.compile import kernel

@kernel
def double(x):
    return 2.0 * x

if __name__ == "__main__":
    print(double(21.0))
"""


@pytest.mark.parametrize("flag", ["nnan", "ninf", "fast"])
def test_liberties_that_break_log_space_are_refused(flag):
    with pytest.raises(ValueError, match=flag):
        kernel(fastmath=(flag,))


def test_a_kernel_works_where_no_cache_can_be_written(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(MODULE)
    # A file where each cache folder would have to be made keeps even root from writing one.
    (tmp_path / "__pycache__").write_text("")
    (tmp_path / "home").write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    environment |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    finished = subprocess.run(
        [sys.executable, str(module)], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.stdout.strip() == "42.0", finished.stderr


def test_a_kernel_works_where_the_disk_is_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "save", full)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "kernel_on_a_full_disk.py").write_text(MODULE)
    import kernel_on_a_full_disk

    assert kernel_on_a_full_disk.double(21.0) == 42.0
    assert np.isnan(kernel_on_a_full_disk.double(np.nan))


def _run(path, number):
    """Import a module afresh; return what its kernel returns and whether the code came from the cache."""
    spec = importlib.util.spec_from_file_location("module_with_a_kernel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double(number), module.double.stats.cache_hits.total()


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_kernels_are_told_of_as_they_are_compiled(tmp_path):
    code = """
import numpy as np
from segment.kernels.compile import watch_compilation
from segment.kernels.image.png import unfilter
watch_compilation(print)
unfilter(np.zeros((2, 4), np.uint8), 1)
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert told == ["unfilter\n", ""]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_a_part_of_a_kernel_is_called_by_kernels_alone():
    @kernel
    def _half(x):
        return x / 2.0

    @numba.njit
    def quarter(x):
        return _half(_half(x))

    for _ in range(2):
        with pytest.raises(TypeError, match="_half is a part of kernels"):
            _half(1.0)
        assert quarter(1.0) == 0.25


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is cached")
def test_code_that_is_cached_needs_nothing_that_compiles(module):
    def loaded():
        code = (
            "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
            "print(*sys.modules.keys() & {'numba.np.arraymath', 'scipy.linalg'})"
        )
        command = [sys.executable, "-c", code, str(module)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    assert set(loaded()) == {"42.0", "numba.np.arraymath", "scipy.linalg"}
    assert loaded() == ["42.0"]


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(MODULE)
    return path


def _replace_by_folder(path):
    path.unlink()
    path.mkdir()
    (path / "something").write_text("")


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "random": lambda path: path.write_bytes(np.random.default_rng(0).bytes(999)),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "shortened": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "folder": _replace_by_folder,
}


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is cached")
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_compiled_anew_and_overwritten(module, damage, ending):
    assert _run(module, 21.0) == (42.0, 0)
    assert _run(module, 21.0) == (42.0, 1)
    (path,) = module.parent.rglob(f"*.{ending}")
    damage(path)
    assert _run(module, 21.0) == (42.0, 0)
    assert _run(module, 21.0) == (42.0, 1)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is cached")
def test_code_of_another_signature_is_not_run(module):
    """What is left where one process wrote the index last and another the code."""
    _run(module, 21.0)
    (code,) = module.parent.rglob("*.nbc")
    of_floats = code.read_bytes()
    (index,) = module.parent.rglob("*.nbi")
    index.unlink()
    _run(module, 21)
    code.write_bytes(of_floats)
    assert _run(module, 21) == (42.0, 0)
    assert _run(module, 21) == (42.0, 1)


def test_processes_may_compile_into_one_cache_at_the_same_time(module):
    numbers = ["21.0", "21", "21.0"]
    module.write_text("import sys\n" + MODULE.replace("double(21.0)", "double(eval(sys.argv[1]))"))
    processes = [
        subprocess.Popen([sys.executable, str(module), number], stdout=subprocess.PIPE, text=True)
        for number in numbers
    ]
    assert [process.communicate(timeout=300)[0].strip() for process in processes] == ["42.0"] * 3
    assert [_run(module, number)[0] for number in (21.0, 21)] == [42.0, 42.0]
