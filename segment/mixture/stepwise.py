"""An M-step after every block of samples: stepwise and incremental EM.

With many samples and components this needs far fewer passes at first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from segment.data.reduction import reduce_tree
from segment.data.samples import Samples
from segment.mixture.expectation import accumulate
from segment.mixture.families.family import Family

# A step counts for (step + 2) ** -POWER of all that came before it: between 0.5, at which the latest block
# counts most, and 1, at which the first steps are never forgotten (Liang & Klein).
POWER = 0.7


class BlockRule(Protocol):
    """How the statistics of the latest block join those of the blocks before."""

    def join(self, step: int, block: int, found: Any, share: float) -> Any:
        """Return the statistics that the M-step of this step, counted from 0, should see.

        `found` are those of block number `block`, which holds a `share` of the samples' weight.
        """

    def move(self, old: Any, new: Any) -> None:
        """Hear that the parameters have moved."""


class Stepwise:
    """The latest block counts for a share that falls with the steps (Cappe & Moulines; Liang & Klein).

    Parameters
    ----------
    power : float
        Block number t counts for (t + 2) ** -power of all that came before it.
    """

    def __init__(self, power: float = POWER) -> None:
        self.power = power
        self.known: Any = None

    def join(self, step: int, block: int, found: Any, share: float) -> Any:
        """Return the weighted mean of the block and what is known."""
        found = found.scaled(1.0 / share)
        if self.known is not None:
            rate = (step + 2) ** -self.power
            found = found.scaled(rate) + self.known.scaled(1.0 - rate)
        self.known = found
        return found

    def move(self, old: Any, new: Any) -> None:
        """Take what is known about the new parameters."""
        self.known = self.known.about(old, new)


class Incremental:
    """A block's new statistics take the place of its old ones (Neal & Hinton 1998): the bound never falls.

    Memory holds the statistics of every block.
    """

    def __init__(self) -> None:
        self.known: dict[int, Any] = {}
        self.shares: dict[int, float] = {}

    def join(self, step: int, block: int, found: Any, share: float) -> Any:
        """Return the sum over the blocks, as if those seen so far were all."""
        self.known[block], self.shares[block] = found, share
        # Sums may be taken in place: of copies, then.
        total = reduce_tree(one.scaled(1.0) for one in self.known.values())
        return total.scaled(1.0 / sum(self.shares.values()))

    def move(self, old: Any, new: Any) -> None:
        """Take every block's statistics about the new parameters."""
        self.known = {block: one.about(old, new) for block, one in self.known.items()}


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
    return block_em(
        samples, family, parameters, rng, Stepwise(), passes=passes, n_blocks=n_blocks, n_jobs=n_jobs
    )


def block_em(
    samples: Samples,
    family: Family[Any, Any],
    parameters: Any,
    rng: np.random.Generator,
    rule: BlockRule,
    *,
    passes: int,
    n_blocks: int,
    n_jobs: int | None = None,
    callback: Callable[[int, Any], None] | None = None,
) -> Any:
    """Run EM with an M-step after every block of samples, by any rule.

    Parameters
    ----------
    samples, family, parameters, rng, passes, n_blocks, n_jobs
        As `stepwise_em`.
    rule : BlockRule
        A new one for every run: it remembers.
    callback : callable, optional
        ``callback(step, parameters)`` after every M-step, from 1.

    Returns
    -------
    parameters
    """
    order = rng.permutation(samples.n_samples)
    blocks = [
        Samples(np.ascontiguousarray(samples.X[rows]), samples.sample_weight[rows])
        for rows in np.array_split(order, n_blocks)
    ]
    for step in range(passes * n_blocks):
        number = step % n_blocks
        block = blocks[number]
        found = accumulate(block, parameters, family=family, n_jobs=n_jobs)
        share = block.total_weight / samples.total_weight
        following = family.maximize(rule.join(step, number, found, share), parameters)
        rule.move(parameters, following)
        parameters = following
        if callback:
            callback(step + 1, parameters)
    return parameters
