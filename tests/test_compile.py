"""The kernel decorator: what it forbids, and a cache that cannot be written."""

import os
import subprocess
import sys

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
