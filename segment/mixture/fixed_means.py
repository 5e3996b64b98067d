"""EM with means that are given and stay where they are: weights are fitted, and covariances if asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from segment.data.source import Source
from segment.em.loop import run_em
from segment.em.result import EMResult, Repair
from segment.mixture.expectation import log_likelihood
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.model import MixtureModel
from segment.parallel import single_threaded_blas


class FixedMeans(MixtureModel):
    """A Gaussian mixture whose M-step leaves the means, and the covariances unless they are fitted.

    With the means held, the expected log-likelihood is largest at the same weights as ever and at second
    moments about the given means: a maximum over a part of the parameters, so the objective never falls [1]_.

    Parameters
    ----------
    source : Source
    family : Gaussian
    n_components : int
    fit_covariances : bool
    n_jobs : int, optional

    References
    ----------
    .. [1] Meng & Rubin (1993), "Maximum likelihood estimation via the ECM algorithm: a general framework",
           Biometrika 80(2), 267-278.
    """

    def __init__(
        self,
        source: Source,
        family: Gaussian,
        n_components: int,
        *,
        fit_covariances: bool,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(source, family, n_components, n_jobs=n_jobs)
        self.fit_covariances = fit_covariances
        # Extrapolated vectors are of standardized features: on the way back rounding would move the means.
        self.chart = None

    def maximize(self, statistics: Any, parameters: Parameters) -> Parameters:
        """Return the family's M-step from moments that are about the given means already."""
        still = replace(statistics, first=np.zeros_like(statistics.first))
        better = self.family.maximize(still, parameters)
        return better if self.fit_covariances else replace(better, covariances=parameters.covariances)

    def repair(self, parameters: Parameters, n_done: int) -> tuple[Parameters, Repair] | None:
        """Leave an empty component empty: there is nothing near its mean."""
        return None


@single_threaded_blas()
def fit_fixed_means(
    source: Source,
    start: Parameters,
    *,
    fit_covariances: bool = False,
    relative_reg: float = 1e-6,
    tol: float = 1e-5,
    max_iter: int = 1000,
    n_jobs: int | None = None,
) -> EMResult[Parameters]:
    """Fit the weights of a Gaussian mixture, and its covariances if asked, with its means held.

    Parameters
    ----------
    source : Source
    start : Parameters
        Its means stay, bit for bit.
    fit_covariances : bool
    relative_reg : float
        Regularization of the covariances, where they are fitted (see `fit_em`).
    tol : float
        Smallest gain of a step, in nats per unit of sample weight.
    max_iter : int
    n_jobs : int, optional
        Threads; the result does not depend on it.

    Returns
    -------
    EMResult
        A component that nothing is near to has weight 0.

    Raises
    ------
    DataError
        If samples, parameters and options do not fit each other.
    """
    reg = relative_reg if fit_covariances else 0.0
    family = Gaussian.of(source, start.covariance_type, relative_reg=reg)
    model = FixedMeans(source, family, start.n_components, fit_covariances=fit_covariances, n_jobs=n_jobs)
    result = run_em(model, start, stopping=family.stopping(tol, max_iter), acceleration=None)
    return replace(result, log_likelihood=log_likelihood(source, result.parameters, n_jobs=n_jobs))
