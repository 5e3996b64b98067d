"""Parameters and statistics of a mixture of t distributions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaln

from segment.archive import Field
from segment.errors import DataError
from segment.mixture.families.gaussian.moments import Moments
from segment.mixture.families.gaussian.parameters import Parameters

# Degrees of freedom are estimated within these: below, no sample counts; above, t is a Gaussian.
FEWEST, MOST = 0.1, 1e6

# How the degrees of freedom are estimated -> how many of them, of K components, are free.
RULES = {"free": lambda K: K, "shared": lambda K: 1, "fixed": lambda K: 0}


def log_gamma_ratio(a: np.ndarray, b: float) -> np.ndarray:
    """Return log(gamma(a + b) / gamma(a)) - b log(a), to full precision for a large a too."""

    def stirling(x: np.ndarray) -> np.ndarray:
        return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x**2)) / x**2) / x

    large = np.maximum(a, 30.0)
    far = (large + b - 0.5) * np.log1p(b / large) - b + stirling(large + b) - stirling(large)
    return np.where(a > 30.0, far, gammaln(a + b) - gammaln(a) - b * np.log(a))


@dataclass(frozen=True, eq=False)
class StudentParameters(Parameters):
    """Weights, means, scale matrices and degrees of freedom of K t distributions over D features.

    Attributes
    ----------
    weights, means, covariance_type
        As `Parameters`.
    covariances : float64 ndarray
        Scale matrices, shaped as covariances: the covariance is degrees / (degrees - 2) times as large.
    degrees_of_freedom : (K,) float64 ndarray
    rule : {"free", "shared", "fixed"}
        How the degrees of freedom are estimated.
    """

    degrees_of_freedom: np.ndarray | Any = None
    rule: str = "free"

    family: ClassVar[str] = "student"
    fields = MappingProxyType(
        {**Parameters.fields, "degrees_of_freedom": Field("f", 1), "rule": Field("U", 0)}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        degrees = np.ascontiguousarray(self.degrees_of_freedom, dtype=np.float64)
        object.__setattr__(self, "degrees_of_freedom", degrees)
        if degrees.shape != self.weights.shape or not (degrees > 0).all():
            raise DataError(
                f"degrees_of_freedom has shape {degrees.shape}; {self.weights.shape}, of positive numbers, "
                "is needed"
            )
        if self.rule not in RULES:
            raise DataError(f"rule is {self.rule!r}; allowed are {', '.join(RULES)}")

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, as BIC counts them."""
        return super().n_parameters + RULES[self.rule](self.n_components)

    @cached_property
    def log_scales(self) -> np.ndarray:
        """Log weight plus log normalizing constant of each component, (K,); -inf if empty."""
        ratio = log_gamma_ratio(0.5 * self.degrees_of_freedom, 0.5 * self.n_features)
        gaussian = Parameters(self.weights, self.means, self.covariances, self.covariance_type)
        return gaussian.log_scales + ratio

    def reordered(self, order: Any) -> StudentParameters:
        """Return the same mixture with component ``order[k]`` as number k."""
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.type.taken(self.covariances, order),
            degrees_of_freedom=self.degrees_of_freedom[order],
        )

    def drawn(self, labels: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw one sample from the component of each label, (n_samples, n_features) float64."""
        normal = super().drawn(labels, rng) - self.means[labels]
        degrees = self.degrees_of_freedom[labels]
        return self.means[labels] + normal * np.sqrt(degrees / rng.chisquare(degrees))[:, None]


@dataclass(frozen=True, eq=False)
class StudentMoments:
    """What an E-step leaves of samples: see `accumulate_student`.

    Attributes
    ----------
    counts, scales, logs : (K,) float64 ndarrays
        Sums of r, r u and r log u: responsibilities r, and the weights u, small for what lies far out.
    first, second : float64 ndarrays
        Sums of r u d and r u d d', with d the difference from the current mean; shaped as `Moments`.
    log_likelihood : float
        Weighted sum of the log densities of the samples, in nats.
    """

    counts: np.ndarray
    scales: np.ndarray
    logs: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float

    @property
    def moments(self) -> Moments:
        """The moments of samples that count u times: what means and scale matrices need."""
        return Moments(self.scales, self.first, self.second, self.log_likelihood)

    def __add__(self, other: StudentMoments) -> StudentMoments:
        names = [field.name for field in fields_of(self)]
        return StudentMoments(*(getattr(self, name) + getattr(other, name) for name in names))

    def scaled(self, factor: float) -> StudentMoments:
        """Return the sums of `factor` times the weight."""
        return StudentMoments(*(factor * getattr(self, field.name) for field in fields_of(self)))

    def about(self, old: Any, new: Any) -> StudentMoments:
        """Return the sums about the means of `new`; u stays as it was under `old`."""
        moved = self.moments.about(old, new)
        return replace(self, first=moved.first, second=moved.second)
