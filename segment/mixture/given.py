"""Statistics of samples whose responsibilities something else than the mixture has decided.

A chain, a grid or a random draw says how much of each row belongs to each component; the family's own E-step
of a single component then sums them. No family needs to know.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from segment.data.reduction import reduce_tree
from segment.data.source import Block
from segment.mixture.families.family import Family
from segment.parallel import block_ranges, map_blocks


class GivenShares:
    """The components of a mixture, each ready to take its share of rows.

    Parameters
    ----------
    family : Family
    parameters : parameters of that family
    dtype : numpy.dtype
        Of the rows.
    """

    def __init__(self, family: Family[Any, Any], parameters: Any, dtype: np.dtype) -> None:
        alone = (
            replace(parameters.reordered([k]), weights=np.ones(1)) for k in range(parameters.n_components)
        )
        self.single = [family.prepare(component, dtype) for component in alone]

    def accumulate(self, X: np.ndarray, shares: np.ndarray, n_jobs: int | None = 1) -> Any:
        """Return the statistics of rows.

        Parameters
        ----------
        X : (n, n_features) array
        shares : (n, n_components) array
            Responsibilities times sample weights.
        n_jobs : int, optional
            Threads over the components; the result does not depend on it.

        Returns
        -------
        statistics
            Their log-likelihood means nothing.
        """

        def collect(k: int) -> Any:
            share, prepared = np.ascontiguousarray(shares[:, k]), self.single[k]
            return reduce_tree(
                prepared.accumulate(Block(X[a:b], share[a:b], a))
                for a, b in block_ranges(len(share), prepared.rows)
            )

        return stacked(map_blocks(collect, range(len(self.single)), n_jobs))


def stacked(statistics: list[Any]) -> Any:
    """Return statistics of single components as those of all of them; numbers are summed."""
    columns = {
        field.name: [getattr(one, field.name) for one in statistics] for field in fields(statistics[0])
    }
    joined = {
        name: np.concatenate(values) if isinstance(values[0], np.ndarray) else sum(values)
        for name, values in columns.items()
    }
    return replace(statistics[0], **joined)
