"""From an image to a fitted Potts field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import uniform_filter

from segment.data.samples import Samples
from segment.em.loop import run_em
from segment.em.result import EMResult
from segment.em.stopping import SmallChange
from segment.errors import DataError
from segment.grid.model import FieldModel, FieldParameters
from segment.mixture.expectation import responsibilities
from segment.mixture.families.table import FAMILIES
from segment.mixture.fitting import fit_family
from segment.mixture.seeding import as_generator, kmeans

# Where the estimate of the strength begins.
_FIRST_STRENGTH = 1.5
# Pixels across of the local means that one start is clustered from.
WINDOW = 5


def fit_field(
    image: Any,
    n_components: int,
    *,
    family: str = "gaussian",
    strength: float | None = 1.5,
    neighbors: int = 4,
    tol: float = 1e-5,
    max_iter: int = 200,
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> EMResult[FieldParameters]:
    """Fit a mixture whose components are a Potts field over the pixels of an image.

    Two starts, an ordinary mixture of the pixels and clusters of their local means; the better fit is kept.

    Parameters
    ----------
    image : (M, N) or (M, N, n_features) array
    n_components : int
    family : {"gaussian", "bernoulli", ...}
        Density of a pixel in a component; any family that a mixture can be made of.
    strength : float, optional
        By how much a like neighbor raises a log probability ("beta"); None: estimated by pseudo-likelihood.
    neighbors : 4 or 8
    tol : float
        Smallest gain of a step, in nats per pixel.
    max_iter : int
        Most E-steps.
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads; the result does not depend on it.
    **options
        Of the family: `covariance_type`, `reg_covar` and so on of Gaussians.

    Returns
    -------
    EMResult
        Its parameters hold the beliefs (`field`) and the label map (`labels`); `log_likelihood` is the
        mean-field objective.

    Raises
    ------
    DataError
        If the image or an option is not legal.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or neighbors not in (4, 8) or family not in FAMILIES:
        raise DataError(
            f"image of shape {image.shape}, {neighbors} neighbors, family {family!r}; (M, N) or (M, N, D), "
            f"4 or 8, and one of {', '.join(FAMILIES)} are allowed"
        )
    if strength is not None and not 0 <= strength < np.inf:
        raise DataError(f"strength is {strength}; a number from 0 on, or None to estimate it, is needed")
    samples = Samples.of(image.reshape(image.shape[0] * image.shape[1], -1))
    kind: Any = FAMILIES[family]
    density = kind.of(samples, **options)
    size = (image.shape[0], image.shape[1])
    setting: dict[str, Any] = {"diagonal": neighbors == 8, "n_jobs": n_jobs}
    model = FieldModel(samples, size, density, **setting)
    first = _FIRST_STRENGTH if strength is None else strength
    starts = starting_fields(model, n_components, first, as_generator(random_state))
    stopping = density.stopping(tol, max_iter)
    found = [run_em(model, start, stopping=stopping, acceleration=None) for start in starts]
    best = max(found, key=lambda result: result.lower_bound)
    if strength is not None:
        return best
    # Another strength is another objective, so that one that is estimated may seem to lower it.
    model = FieldModel(samples, size, density, estimates_strength=True, **setting)
    return run_em(model, best.parameters, stopping=SmallChange(tol, max_iter), acceleration=None)


def starting_fields(
    model: FieldModel, n_components: int, strength: float, rng: np.random.Generator
) -> list[FieldParameters]:
    """Return two starts: from an ordinary mixture of the pixels, and from clusters of their local means.

    Where noise hides the classes from the mixture, means over a few pixels often show them.
    """
    samples, size = model.samples, model.size
    mixture = fit_family(
        samples, n_components, model.family, random_state=rng, n_jobs=model.n_jobs
    ).parameters
    beliefs = responsibilities(samples.X, mixture, n_jobs=model.n_jobs)
    image = samples.X.reshape(*size, -1).astype(np.float64)
    means = uniform_filter(image, size=(WINDOW, WINDOW, 1)).reshape(samples.X.shape)
    deviation = means.std(axis=0)
    local = Samples.of((means - means.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
    labels = kmeans(local, n_components, rng, max_iter=50)[1]
    hard = (labels[:, None] == np.arange(n_components)).astype(np.float64)
    equal = np.full(n_components, 1 / n_components)
    return [
        FieldParameters(replace(emissions, weights=equal), strength, field.reshape(*size, n_components))
        for emissions, field in (
            (mixture, beliefs),
            (model.family.from_responsibilities(samples, hard), hard),
        )
    ]
