"""Small mixtures and samples that several tests use."""

from functools import cache

import numpy as np

from segment.digits import DigitSet
from segment.lab import EXPERIMENTS
from segment.mixture import Parameters

TYPES = ("full", "diag", "tied", "spherical")


@cache
def outcome(name, random_state=0):
    """Return what an experiment comes out as, run once a process."""
    return EXPERIMENTS[name].run(random_state)


def _positive_definite(rng, n, D):
    roots = rng.normal(size=(n, D, D))
    return roots @ np.swapaxes(roots, 1, 2) / D + 0.3 * np.eye(D)


def random_parameters(K, D, covariance_type="full", seed=0, spread=1.5):
    """Return a mixture of K random components over D features."""
    rng = np.random.default_rng(seed)
    covariances = {
        "full": lambda: _positive_definite(rng, K, D),
        "tied": lambda: _positive_definite(rng, 1, D)[0],
        "diag": lambda: rng.uniform(0.4, 2.0, (K, D)),
        "spherical": lambda: rng.uniform(0.4, 2.0, K),
    }[covariance_type]()
    return Parameters(
        rng.dirichlet(np.full(K, 5.0)), rng.normal(0, spread, (K, D)), covariances, covariance_type
    )


def draw(parameters, n, seed=1):
    """Draw n samples; return them and the components that they come from."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(parameters.n_components, n, p=parameters.weights)
    roots = np.linalg.cholesky(parameters.spread_covariances())
    normal = rng.normal(size=(n, parameters.n_features))
    return parameters.means[labels] + np.einsum("iab,ib->ia", roots[labels], normal), labels


def four_gaussians(n=400, seed=0):
    """Return n points in the plane from four normals with different full covariances, and their labels."""
    parameters = Parameters(
        np.array([0.3, 0.3, 0.2, 0.2]),
        np.array([[0.0, 0.0], [5.0, 1.0], [1.0, 6.0], [6.0, 7.0]]),
        np.array(
            [
                [[1.0, 0.6], [0.6, 1.5]],
                [[2.0, -0.8], [-0.8, 0.8]],
                [[0.5, 0.0], [0.0, 2.0]],
                [[1.2, 0.9], [0.9, 1.2]],
            ]
        ),
    )
    return draw(parameters, n, seed)


def overlapping(n=1500, seed=0):
    """Return points from two normals one standard deviation apart, weighted 2 : 1: EM is slow on them."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0.0, 1.0, 2 * n // 3), rng.normal(1.7, 0.8, n // 3)])[:, None]


def draw_bars():
    """Three classes of bars, upright, level and crossed: 360 noisy images of 12 x 12."""
    rng = np.random.default_rng(0)
    labels = np.arange(360) % 3
    images = rng.integers(0, 40, (360, 12, 12)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        if label != 1:
            image[1:11, 5:7] = rng.integers(150, 255)
        if label != 0:
            image[5:7, 1:11] = rng.integers(150, 255)
    return DigitSet("bars", images, labels, 240, "drawn")
