"""The t family: the Gaussian M-step with samples that count the less the farther out they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy.special import digamma

from segment.data.samples import Samples
from segment.data.source import Block, Source
from segment.em.result import Repair
from segment.errors import DataError
from segment.kernels.em import student as kernels
from segment.mixture.families.family import Family, Prepared
from segment.mixture.families.gaussian.chart import GaussianChart
from segment.mixture.families.gaussian.covariance import covariance_type_of
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.families.student.parameters import FEWEST, MOST, StudentMoments, StudentParameters

# Where degrees of freedom start that are estimated.
START = 10.0


class PreparedStudent(Prepared[StudentMoments]):
    """t components ready for a pass.

    Parameters
    ----------
    parameters : StudentParameters
    reg : float
        Added to every variance: squared distances gain reg times the trace of the inverse scale matrix.
    """

    def __init__(self, parameters: StudentParameters, reg: float) -> None:
        factors = parameters.factors
        traces = np.square(factors).sum(axis=tuple(range(1, factors.ndim)))
        self.is_full = factors.ndim == 3
        self.constants = (
            parameters.log_scales,
            parameters.means,
            factors if self.is_full else factors[:, None, :],
            parameters.degrees_of_freedom,
            reg * traces,
        )

    def accumulate(self, block: Block, n_jobs: int | None = 1) -> StudentMoments:
        counts, scales, logs = np.zeros((3, len(self.constants[0])))
        first, second = np.zeros_like(self.constants[1]), np.zeros_like(self.constants[2])
        log_likelihood = kernels.accumulate_student(
            block.X, block.sample_weight, *self.constants, counts, scales, logs, first, second
        )
        second = second if self.is_full else second[:, 0]
        return StudentMoments(counts, scales, logs, first, second, log_likelihood)

    def log_densities(self, X: np.ndarray) -> np.ndarray:
        out = np.empty((len(X), len(self.constants[0])))
        kernels.densities_student(X, *self.constants, out)
        return out


@dataclass(frozen=True, eq=False)
class StudentChart:
    """The vector form of Gaussians, and the logarithms of the degrees of freedom that are estimated."""

    gaussian: GaussianChart
    rule: str
    fixed: np.ndarray

    def pack(self, parameters: StudentParameters) -> np.ndarray:
        """Return the parameters as a vector."""
        degrees = np.log(parameters.degrees_of_freedom)
        free = {"free": degrees, "shared": degrees[:1]}.get(self.rule, degrees[:0])
        return np.concatenate([free, self.gaussian.pack(parameters)])

    def unpack(self, vector: np.ndarray) -> StudentParameters:
        """Undo `pack`."""
        n_free = {"free": len(self.fixed), "shared": 1}.get(self.rule, 0)
        logs = np.clip(vector[:n_free], np.log(FEWEST), np.log(MOST))
        degrees = np.exp(np.broadcast_to(logs, self.fixed.shape)) if n_free else self.fixed
        return joined(self.gaussian.unpack(vector[n_free:]), degrees, self.rule)


def joined(gaussians: Parameters, degrees: np.ndarray, rule: str) -> StudentParameters:
    """Return t components of given scales and degrees of freedom."""
    return StudentParameters(
        gaussians.weights, gaussians.means, gaussians.covariances, gaussians.covariance_type, degrees, rule
    )


@dataclass(frozen=True, eq=False)
class Student(Family[StudentParameters, StudentMoments]):
    """Components with the t distribution, of one covariance type; `Student.of` makes it for samples.

    A sample of a t component is a Gaussian one whose precision is multiplied with a gamma variable, which the
    E-step expects to be u. The M-step is parameter-expanded ECM: means and scale matrices are those of
    samples that count r u times, divided by the sum of r u; then the degrees of freedom maximize the expected
    log-likelihood. One pass serves both, so that sources, chains and grids take them; to maximize the
    likelihood itself over the degrees (ECME) would take a second pass, and extrapolation gains more.

    Attributes
    ----------
    gaussian : Gaussian
        Type, regularization and units.
    rule : {"free", "shared", "fixed"}
        Of the degrees of freedom.
    start : float
        Degrees of freedom at the start, or for good.

    References
    ----------
    .. [1] Peel & McLachlan (2000), "Robust mixture modelling using the t distribution", Statistics and
           Computing 10, 339-348.
    .. [2] Liu & Rubin (1995), "ML estimation of the t distribution using EM and its extensions, ECM and
           ECME", Statistica Sinica 5, 19-39.
    .. [3] Liu, Rubin & Wu (1998), "Parameter expansion to accelerate EM", Biometrika 85(4), 755-770.
    """

    gaussian: Gaussian
    rule: str = "fixed"
    start: float = START

    name = "student"
    parameters = StudentParameters

    @classmethod
    def plain(cls, parameters: StudentParameters) -> Self:
        """Return the family of given parameters, without regularization: for densities."""
        return cls(Gaussian(parameters.type), parameters.rule)

    @classmethod
    def of(
        cls,
        source: Source,
        covariance_type: str = "full",
        *,
        degrees_of_freedom: float | str = "free",
        **options: Any,
    ) -> Self:
        """Return the family for given samples.

        Parameters
        ----------
        source : Source
        covariance_type : {"full", "diag", "tied", "spherical"}
        degrees_of_freedom : {"free", "shared"} or float
            Estimated for each component, estimated for all together, or given.
        **options
            `reg_covar` and `relative_reg` of `Gaussian.of`.

        Raises
        ------
        DataError
            If an option is not allowed.
        """
        gaussian = Gaussian.of(source, covariance_type_of(covariance_type).name, **options)
        if isinstance(degrees_of_freedom, str):
            if degrees_of_freedom not in ("free", "shared"):
                raise DataError(
                    f"degrees_of_freedom is {degrees_of_freedom!r}; 'free', 'shared' or a number is needed"
                )
            return cls(gaussian, degrees_of_freedom)
        if not 0 < degrees_of_freedom <= MOST:
            raise DataError(f"degrees_of_freedom is {degrees_of_freedom}; it must lie in (0, {MOST:g}]")
        return cls(gaussian, "fixed", float(degrees_of_freedom))

    @property
    def is_plain(self) -> bool:
        return self.gaussian.is_plain

    def chart(self, n_components: int) -> StudentChart:
        """Return the vector form of the parameters of so many components."""
        return StudentChart(self.gaussian.chart(n_components), self.rule, np.full(n_components, self.start))

    def prepare(self, parameters: StudentParameters, dtype: np.dtype) -> PreparedStudent:
        """Make parameters ready for a pass over samples of a dtype."""
        return PreparedStudent(parameters, self.gaussian.reg_covar)

    def maximize(self, statistics: StudentMoments, parameters: StudentParameters) -> StudentParameters:
        """Return the parameters of the next step; an empty component gets weight 0."""
        found = self.gaussian.maximize(statistics.moments, parameters)
        expansions = self._expansions(statistics, parameters)
        factor = statistics.scales.sum() / (statistics.counts @ expansions)
        if self._shares_scale and factor != 1.0:
            found = replace(found, covariances=self._rescaled(found.covariances, factor))
        counts = np.where(found.weights > 0, statistics.counts, 0.0)
        degrees = self._degrees(statistics, parameters, expansions)
        return joined(replace(found, weights=counts / counts.sum()), degrees, self.rule)

    @property
    def _shares_scale(self) -> bool:
        kind = self.gaussian.type
        return kind.n_parameters(1, 1) == kind.n_parameters(2, 1)

    def _expansions(self, statistics: StudentMoments, parameters: StudentParameters) -> np.ndarray:
        """Return what u is relative to, (K,): its mean over all that have a scale matrix in common."""
        tiny = np.finfo(float).tiny
        if self._shares_scale:
            degrees = parameters.degrees_of_freedom
            mean = (degrees @ statistics.scales) / max(degrees @ statistics.counts, tiny)
            return np.full_like(statistics.counts, mean)
        return np.maximum(statistics.scales, tiny) / np.maximum(statistics.counts, tiny)

    def _rescaled(self, covariances: np.ndarray, factor: float) -> np.ndarray:
        """Multiply covariances, what was added to their variances apart."""
        gaussian = self.gaussian
        added = gaussian.reg_covar * (np.eye(covariances.shape[-1]) if gaussian.type.form == "full" else 1.0)
        deviations = gaussian.chart(1).deviations
        return gaussian.type.regularize(factor * (covariances - added), gaussian.reg_covar, deviations)

    def _degrees(
        self, statistics: StudentMoments, parameters: StudentParameters, expansions: np.ndarray
    ) -> np.ndarray:
        """Return the degrees of freedom that maximize the expected log-likelihood."""
        old, counts = parameters.degrees_of_freedom, statistics.counts
        if self.rule == "fixed":
            return old
        known = np.maximum(counts, np.finfo(float).tiny)
        half = 0.5 * (old + parameters.n_features)
        terms = statistics.logs / known - np.log(expansions) - statistics.scales / known / expansions
        terms += digamma(half) - np.log(half)
        if self.rule == "shared":
            return np.full_like(old, root_of_degrees(np.atleast_1d(counts @ terms / counts.sum()))[0])
        return np.where(counts > 0, root_of_degrees(terms), old)

    def from_responsibilities(self, samples: Samples, responsibilities: np.ndarray) -> StudentParameters:
        """Return a start: the Gaussian M-step from responsibilities, (n_samples, K)."""
        found = self.gaussian.from_responsibilities(samples, responsibilities)
        return joined(found, np.full(found.n_components, self.start), self.rule)

    def reseeded(
        self, parameters: StudentParameters, components: np.ndarray, rows: np.ndarray
    ) -> StudentParameters:
        """Return parameters with the means of the given components at the given rows."""
        means = parameters.means.copy()
        means[components] = rows
        return replace(parameters, means=means)

    def blemishes(
        self, parameters: StudentParameters, source: Source, n_jobs: int | None = None
    ) -> tuple[Repair, ...]:
        """Name the components that only a rule keeps from being singular."""
        return self.gaussian.blemishes(parameters, source, n_jobs)


def root_of_degrees(terms: np.ndarray) -> np.ndarray:
    """Return nu with log(nu / 2) - digamma(nu / 2) + 1 + terms = 0, by bisection of its logarithm."""
    low, high = np.full_like(terms, np.log(FEWEST)), np.full_like(terms, np.log(MOST))
    for _ in range(60):
        middle = 0.5 * (low + high)
        half = 0.5 * np.exp(middle)
        is_above = np.log(half) - digamma(half) + 1.0 + terms > 0
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    return np.exp(0.5 * (low + high))
