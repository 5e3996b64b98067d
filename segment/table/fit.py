"""From a source of rows to a fitted mixture, components in the order of their weight."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from segment.data.source import Source
from segment.em.result import EMResult
from segment.errors import ConvergenceWarning
from segment.mixture.estimators.gaussian import GaussianMixture
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.fitting import fit_family, warn_of
from segment.mixture.selection import choose_n_components

# Numbers of components that "auto" tries.
NUMBERS = range(1, 13)


@dataclass(frozen=True)
class TableSettings:
    """How rows are clustered.

    Attributes
    ----------
    n_components : int or "auto"
    covariance_type : {"full", "diag", "tied", "spherical"}
    criterion : {"bic", "icl"}
        By which "auto" chooses.
    relative_reg, tol, max_iter
        As `fit_em`.
    random_state : int
    """

    n_components: int | str = "auto"
    covariance_type: str = "full"
    criterion: str = "bic"
    relative_reg: float = 1e-6
    tol: float = 1e-5
    max_iter: int = 1000
    random_state: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the settings by name."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class TableClustering:
    """What rows were clustered into.

    Attributes
    ----------
    source : Source
    family : Gaussian
    result : EMResult
        Components in the order of their weight, the largest first.
    settings : TableSettings
    curve : dict of int to float
        The criterion of every number that "auto" tried.
    """

    source: Source
    family: Gaussian
    result: EMResult[Parameters]
    settings: TableSettings
    curve: dict[int, float]

    @property
    def parameters(self) -> Parameters:
        """Weights, means and covariances."""
        return self.result.parameters

    def estimator(self) -> GaussianMixture:
        """Return the fit as an estimator, to be saved and used."""
        settings = self.settings
        mixture = GaussianMixture(
            self.parameters.n_components,
            covariance_type=settings.covariance_type,
            tol=settings.tol,
            max_iter=settings.max_iter,
            reg_covar=self.family.reg_covar,
            random_state=settings.random_state,
        )
        return mixture.adopt(self.result, self.source)


def cluster_table(
    source: Source,
    settings: TableSettings,
    *,
    n_jobs: int | None = None,
    notify: Callable[[str], None] = lambda text: None,
) -> TableClustering:
    """Fit a Gaussian mixture to the rows of a source.

    Parameters
    ----------
    source : Source
    settings : TableSettings
    n_jobs : int, optional
        Threads; the result does not depend on it.
    notify : callable
        Called with a line about what is being done, and after every step of EM.

    Returns
    -------
    TableClustering

    Warns
    -----
    ConvergenceWarning, CollapseWarning
        As `fit_em`.
    """
    notify("looking at every value")
    family = Gaussian.of(source, settings.covariance_type, relative_reg=settings.relative_reg)
    curve: dict[int, float] = {}
    n_components = settings.n_components
    if isinstance(n_components, str):
        notify("choosing the number of components")
        n_components, curve = choose_n_components(
            source,
            family,
            NUMBERS,
            criterion=settings.criterion,
            random_state=settings.random_state,
            n_jobs=n_jobs,
        )
    notify("looking for starts")
    result = fit_family(
        source,
        n_components,
        family,
        random_state=settings.random_state,
        tol=settings.tol,
        max_iter=settings.max_iter,
        n_jobs=n_jobs,
        callback=Steps(settings.tol, notify),
    )
    warn_of(result, settings.tol, settings.max_iter, ConvergenceWarning)
    order = np.argsort(-result.parameters.weights, kind="stable")
    result = replace(
        result,
        parameters=result.parameters.reordered(order),
        repairs=tuple(repair.renumbered(order) for repair in result.repairs),
    )
    return TableClustering(source, family, result, settings, curve)


class Steps:
    """Says how far EM is, and how long it will take if its gains go on to shrink as they do."""

    def __init__(self, tol: float, notify: Callable[[str], None]) -> None:
        self.tol, self.notify = tol, notify
        self.bounds: list[float] = []
        self.began = time.perf_counter()

    def __call__(self, iteration: int, bound: float, parameters: Any) -> None:
        """Note a step."""
        if iteration == 0:
            self.bounds, self.began = [], time.perf_counter()
        self.bounds.append(bound)
        self.notify(f"EM step {iteration}: lower bound {bound:.6g}{self._left()}")

    def _left(self) -> str:
        if len(self.bounds) < 4:
            return ""
        gains = np.diff(self.bounds[-4:])
        seconds = (time.perf_counter() - self.began) / (len(self.bounds) - 1)
        with np.errstate(all="ignore"):
            ratio = (gains[-1] / gains[0]) ** 0.5
            steps = np.log(self.tol / gains[-1]) / np.log(ratio)
        if not (0 < ratio < 1 and 0 < steps < 1e4):
            return f", {seconds:.3g} s a step"
        return f", {seconds:.3g} s a step, about {clock(steps * seconds)} left"


def clock(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
