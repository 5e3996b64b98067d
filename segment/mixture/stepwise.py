"""Stepwise EM: an M-step after every block of samples; with many components it needs far fewer passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.data.samples import Samples
from segment.mixture.expectation import accumulate
from segment.mixture.families.family import Family

# A step counts for (step + 2) ** -POWER of all that came before it: between 0.5, at which the latest block
# counts most, and 1, at which the first steps are never forgotten (Liang & Klein).
POWER = 0.7


def stepwise_em(
    samples: Samples,
    family: Family[Any, Any],
    parameters: Any,
    rng: np.random.Generator,
    *,
    passes: int,
    n_blocks: int,
    n_jobs: int | None = None,
) -> Any:
    """Climb quickly from a rough start; EM on all samples should follow.

    Parameters
    ----------
    samples : Samples
    family : Family
    parameters : parameters of that family
        Where to start.
    rng : numpy.random.Generator
        Deals the samples out to the blocks.
    passes, n_blocks : int
        Times that every sample is seen, and blocks that they are dealt out to.
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    parameters

    References
    ----------
    .. [1] Cappe & Moulines (2009), "On-line expectation-maximization algorithm for latent data models",
           JRSS B 71(3), 593-613.
    .. [2] Liang & Klein (2009), "Online EM for unsupervised models", NAACL, 611-619.
    """
    order = rng.permutation(samples.n_samples)
    blocks = [
        Samples(np.ascontiguousarray(samples.X[rows]), samples.sample_weight[rows])
        for rows in np.array_split(order, n_blocks)
    ]
    known: Any = None
    for step in range(passes * n_blocks):
        block = blocks[step % n_blocks]
        found = accumulate(block, parameters, family=family, n_jobs=n_jobs)
        found = found.scaled(samples.total_weight / block.total_weight)
        if known is not None:
            share = (step + 2) ** -POWER
            found = found.scaled(share) + known.scaled(1.0 - share)
        following = family.maximize(found, parameters)
        known = found.about(parameters, following)
        parameters = following
    return parameters
