"""Match two sets one to one so that they agree most (Hungarian method): components, clusters, classes."""

from __future__ import annotations

import numpy as np


def match(agreement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows with columns so that the sum of the agreement of the pairs is largest.

    Parameters
    ----------
    agreement : (n_rows, n_columns) ndarray
        Finite numbers, the larger the better; it need not be square.

    Returns
    -------
    rows, columns : (min(n_rows, n_columns),) int64 ndarray
        The pairs, by rising row; what is left over on the longer side is in no pair.
    """
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(agreement, maximize=True)
