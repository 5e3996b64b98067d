"""The narrow kernels against formulas worked out sample by sample, and their own exp and log."""

import numpy as np
import pytest

from segment.kernels import narrow

pytestmark = pytest.mark.kernels


def _ulps(got, reference):
    """Largest error in units in the last place of the rounded reference (longdouble)."""
    rounded = reference.astype(np.float64)
    return float(np.max(np.abs(got.astype(np.longdouble) - reference) / np.spacing(np.abs(rounded))))


def test_exp_is_within_two_ulp():
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [rng.uniform(-707.9, 0.0, 4000), rng.uniform(0.0, 709.0, 1000), rng.normal(0, 1e-3, 1000)]
    )
    out = np.empty_like(x)
    narrow.vector_exp(x, out)
    assert _ulps(out, np.exp(x.astype(np.longdouble))) <= 2.0


def test_log_is_within_two_ulp():
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [np.exp(rng.uniform(-700, 700, 4000)), rng.uniform(1.0, 100.0, 2000), 1 + rng.random(500) * 1e-6]
    )
    out = np.empty_like(x)
    narrow.vector_log(x, out)
    assert _ulps(out, np.log(x.astype(np.longdouble))) <= 2.0
