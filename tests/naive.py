"""The Gaussian mixture by its formulas, one sample and one component at a time: slow, and easy to check.

Nothing here is shared with the package: mixtures are lists of (weight, mean, covariance matrix).
"""

import math

import numpy as np


def components(parameters):
    """Return the components of `segment.mixture.Parameters`, spelled out by covariance type."""
    K, D = parameters.means.shape
    given = parameters.covariances
    matrices = {
        "full": lambda k: given[k],
        "tied": lambda k: given,
        "diag": lambda k: np.diag(given[k]),
        "spherical": lambda k: given[k] * np.eye(D),
    }[parameters.covariance_type]
    return [(parameters.weights[k], parameters.means[k], matrices(k)) for k in range(K)]


def weighted_log_density(x, weight, mean, covariance):
    """log(weight N(x; mean, covariance))."""
    if weight == 0:
        return -math.inf
    difference = np.asarray(x, dtype=np.float64) - mean
    _, log_determinant = np.linalg.slogdet(covariance)
    distance = difference @ np.linalg.solve(covariance, difference)
    return math.log(weight) - 0.5 * (len(mean) * math.log(2 * math.pi) + log_determinant + distance)


def weighted_log_densities(X, mixture):
    return np.array([[weighted_log_density(x, *component) for component in mixture] for x in X])


def log_sum_exp(values):
    largest = max(values)
    if largest == -math.inf:
        return -math.inf
    return largest + math.log(math.fsum(math.exp(value - largest) for value in values))


def log_likelihoods(X, mixture):
    return np.array([log_sum_exp(row) for row in weighted_log_densities(X, mixture)])


def responsibilities(X, mixture):
    rows = weighted_log_densities(X, mixture)
    return np.array([[math.exp(value - log_sum_exp(row)) for value in row] for row in rows])


def moments(X, sample_weight, mixture):
    """Sums of weight times responsibility times 1, difference from the mean, its outer product."""
    K, D = len(mixture), len(mixture[0][1])
    counts, first, second = np.zeros(K), np.zeros((K, D)), np.zeros((K, D, D))
    shares = responsibilities(X, mixture)
    for i, x in enumerate(np.asarray(X, dtype=np.float64)):
        for k, (_, mean, _) in enumerate(mixture):
            share = sample_weight[i] * shares[i, k]
            difference = x - mean
            counts[k] += share
            first[k] += share * difference
            second[k] += share * np.outer(difference, difference)
    return counts, first, second


def maximize(X, sample_weight, shares, covariance_type):
    """Weights, means and covariances of an M-step, from responsibilities."""
    X = np.asarray(X, dtype=np.float64)
    shares = shares * np.asarray(sample_weight)[:, None]
    counts = shares.sum(axis=0)
    means = np.array([share @ X / count for share, count in zip(shares.T, counts, strict=True)])
    matrices = np.array(
        [
            (share * (X - mean).T) @ (X - mean) / count
            for share, mean, count in zip(shares.T, means, counts, strict=True)
        ]
    )
    weights = counts / counts.sum()
    covariances = {
        "full": lambda: matrices,
        "tied": lambda: np.einsum("k,kab->ab", weights, matrices),
        "diag": lambda: np.array([np.diag(matrix) for matrix in matrices]),
        "spherical": lambda: np.array([np.diag(matrix).mean() for matrix in matrices]),
    }[covariance_type]()
    return weights, means, covariances


def log_bernoulli(x, probabilities):
    """log P(x) of independent binary features."""
    return math.fsum(math.log(p if value == 1 else 1 - p) for value, p in zip(x, probabilities, strict=True))


def log_poisson(x, rates):
    """log P(x) of independent counts."""
    return math.fsum(
        value * math.log(rate) - rate - math.lgamma(value + 1) for value, rate in zip(x, rates, strict=True)
    )


def log_density_of_known(x, mean, covariance):
    """log N of the entries that are not NaN, all others integrated out."""
    known = np.flatnonzero(~np.isnan(x))
    if len(known) == 0:
        return 0.0
    return weighted_log_density(np.asarray(x)[known], 1.0, mean[known], covariance[np.ix_(known, known)])
