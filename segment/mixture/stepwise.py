"""Stepwise EM: an M-step after every block of samples; with many components it needs far fewer passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.mixture.expectation import accumulate
from segment.mixture.gaussian import GaussianModel
from segment.mixture.moments import Moments
from segment.mixture.parameters import Parameters
from segment.mixture.samples import Samples

# A step counts for (step + 2) ** -POWER of all that came before it: between 0.5, at which the latest block
# counts most, and 1, at which the first steps are never forgotten (Liang & Klein).
POWER = 0.7


def stepwise_em(
    samples: Samples,
    parameters: Parameters,
    rng: np.random.Generator,
    *,
    passes: int,
    n_blocks: int,
    n_jobs: int | None = None,
    **options: Any,
) -> Parameters:
    """Climb quickly from a rough start; EM on all samples should follow.

    Parameters
    ----------
    samples : Samples
    parameters : Parameters
        Where to start.
    rng : numpy.random.Generator
        Deals the samples out to the blocks.
    passes, n_blocks : int
        Times that every sample is seen, and blocks that they are dealt out to.
    options
        `reg_covar` and `covariance_shrinkage`, as `fit_em` takes them.

    Returns
    -------
    Parameters

    References
    ----------
    .. [1] Cappe & Moulines (2009), "On-line expectation-maximization algorithm for latent data models",
           JRSS B 71(3), 593-613.
    .. [2] Liang & Klein (2009), "Online EM for unsupervised models", NAACL, 611-619.
    """
    model = GaussianModel(samples, parameters.n_components, parameters.covariance_type, **options)
    order = rng.permutation(samples.n_samples)
    blocks = [
        Samples(np.ascontiguousarray(samples.X[rows]), samples.sample_weight[rows])
        for rows in np.array_split(order, n_blocks)
    ]
    known: Moments | None = None
    for step in range(passes * n_blocks):
        block = blocks[step % n_blocks]
        found = accumulate(block, parameters, reg=model.reg, n_jobs=n_jobs)
        found = _blend(found, found, samples.total_weight / block.total_weight, 0.0)
        if known is not None:
            share = (step + 2) ** -POWER
            known = _blend(found, known, share, 1.0 - share)
        else:
            known = found
        following = model.maximize(known, parameters)
        known = _moved(known, following.means - parameters.means)
        parameters = following
    return parameters


def _blend(first: Moments, second: Moments, share: float, rest: float) -> Moments:
    """Return `share` times the first moments and `rest` times the second."""
    return Moments(
        share * first.counts + rest * second.counts,
        share * first.first + rest * second.first,
        share * first.second + rest * second.second,
        share * first.log_likelihood + rest * second.log_likelihood,
    )


def _moved(moments: Moments, shifts: np.ndarray) -> Moments:
    """Return the same moments about means that lie `shifts` further."""
    counts, first = moments.counts, moments.first - moments.counts[:, None] * shifts
    if moments.second.ndim == 2:
        second = moments.second - 2.0 * moments.first * shifts + counts[:, None] * shifts**2
    else:
        cross = moments.first[:, :, None] * shifts[:, None, :]
        own = counts[:, None, None] * shifts[:, :, None] * shifts[:, None, :]
        second = moments.second - cross - cross.transpose(0, 2, 1) + own
    return Moments(counts, first, second, moments.log_likelihood)
