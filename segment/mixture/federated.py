"""Fit one mixture to the samples of many sites that keep their rows: only sums leave a site.

What sums of few rows give away is told in docs/guide/federated.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from segment.data.reduction import reduce_tree
from segment.data.samples import Samples
from segment.data.source import Block, Source, Sums
from segment.em.loop import run_em
from segment.em.result import EMResult, Repair
from segment.em.stopping import SmallGain
from segment.errors import DataError
from segment.mixture.families.family import Family
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.model import MixtureModel
from segment.mixture.seeding import as_generator

S = TypeVar("S")
A = TypeVar("A")

# A site of less weight is refused: its sums would nearly be its rows.
LEAST_WEIGHT = 10.0
# Steps that every start gets before the best goes on.
FIRST_STEPS = 15


class Traffic(NamedTuple):
    """What has gone over the wires so far.

    Attributes
    ----------
    rounds : int
        Questions that were put to all sites at once.
    sent, received : int
        Bytes of numbers from and to the one who asks, all sites together.
    """

    rounds: int
    sent: int
    received: int


class Federation(Source):
    """The samples of several sites as one source that tells sums only.

    Parameters
    ----------
    sites : sequence of Samples
        Of equal features. In earnest each would live on a machine of its own, and answer `reduce`.
    least_weight : float
        Sites of less total weight are refused.

    Raises
    ------
    DataError
        If there is no site, features differ, or a site is too small.
    """

    def __init__(self, sites: Sequence[Source], *, least_weight: float = LEAST_WEIGHT) -> None:
        widths = {site.n_features for site in sites}
        if len(widths) != 1:
            raise DataError(
                f"sites have {sorted(widths)} features; at least one site is needed, and all alike"
            )
        for number, site in enumerate(sites):
            if site.total_weight < least_weight:
                raise DataError(
                    f"site {number} weighs {site.total_weight:g}, less than least_weight {least_weight:g}: "
                    "its sums would give its rows away; join it with another site first"
                )
        self._sites, self._rounds, self._sent, self._received = tuple(sites), 0, 0, 0

    @property
    def n_samples(self) -> int:
        """Number of rows of all sites."""
        return sum(site.n_samples for site in self._sites)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._sites[0].n_features

    @property
    def dtype(self) -> np.dtype:
        """float32 where all sites have it, else float64."""
        return np.result_type(*(site.dtype for site in self._sites))

    @property
    def traffic(self) -> Traffic:
        """What has gone over the wires so far."""
        return Traffic(self._rounds, self._sent, self._received)

    def reduce(self, function: Callable[[Block], S], *, rows: int, n_jobs: int | None = None) -> S:
        """Ask every site for its sum; return the sum of the answers, counted as traffic.

        Numbers, sums and statistics of components are let through; anything else, as the rows that
        `worst_explained` collects, is refused.
        """
        answers = [site.reduce(function, rows=rows, n_jobs=n_jobs) for site in self._sites]
        if not isinstance(answers[0], (float, np.ndarray, Sums)) and not hasattr(answers[0], "counts"):
            self._refuse()
        self._rounds += 1
        self._sent += len(self._sites) * n_bytes(getattr(function, "parameters", None))
        self._received += sum(n_bytes(answer) for answer in answers)
        return reduce_tree(answers)

    def map(self, function: Callable[[Block], A], *, rows: int, n_jobs: int | None = None) -> Iterator[A]:
        """Apply a check at every site; a function that returns anything is refused."""
        for site in self._sites:
            for found in site.map(function, rows=rows, n_jobs=n_jobs):
                if found is not None:
                    self._refuse()
                yield found

    def first_row(self) -> np.ndarray:
        """Return zeros: no row is told, and sums are taken about the origin."""
        return np.zeros(self.n_features)

    def arrays(self) -> NoReturn:
        """Raise `DataError`."""
        self._refuse()

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Source:
        """Return the federation of the changed sites."""
        return Federation([site.changed(change) for site in self._sites], least_weight=0.0)

    def stamps(self) -> list[Any]:
        """Return the stamps of the sites."""
        return [site.stamps() for site in self._sites]

    def _refuse(self) -> NoReturn:
        raise DataError("rows never leave a site of a federation; ask for sums, with `reduce`")


def n_bytes(value: Any) -> int:
    """Return the bytes of the numbers in an answer: arrays, numbers, and dataclasses of them."""
    if is_dataclass(value) and not isinstance(value, type):
        return sum(n_bytes(getattr(value, field.name)) for field in fields(value))
    return value.nbytes if isinstance(value, np.ndarray) else 8 * isinstance(value, (int, float))


class FederatedModel(MixtureModel):
    """A mixture over a federation: an empty component stays empty, for no site tells its worst rows."""

    def repair(self, parameters: Any, n_done: int) -> tuple[Any, Repair] | None:
        """Return None."""
        return None


class FederatedResult(NamedTuple):
    """A fit, and the traffic that it took: summary, starts and all."""

    result: EMResult[Any]
    traffic: Traffic


def fit_federated(
    federation: Federation,
    n_components: int,
    *,
    family: Family[Any, Any] | None = None,
    starts: Sequence[Any] | None = None,
    n_init: int = 8,
    tol: float = 1e-5,
    max_iter: int = 1000,
    acceleration: str | None = "squarem",
    random_state: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
    **options: Any,
) -> FederatedResult:
    """Fit a mixture to all sites' samples; each E-step is one round, in which only sums are sent.

    The fit is that of the pooled samples, but for the order in which sums are rounded.

    Parameters
    ----------
    federation : Federation
    n_components : int
    family : Family, optional
        By default Gaussian, with the options of `Gaussian.of`.
    starts : sequence of parameters, optional
        Needed for other families; by default random ones, from the pooled means and variances alone.
    n_init : int
        Random starts; each gets a few steps, the best goes on.
    tol, max_iter, acceleration
        As `fit_em`.
    random_state : int, Generator or None
    n_jobs : int, optional
        Threads of every site; the result does not depend on it.
    **options
        `covariance_type`, `reg_covar` and `relative_reg` of `Gaussian.of`.

    Returns
    -------
    FederatedResult

    Raises
    ------
    DataError
        If another family comes without starts, or options do not fit.
    """
    if family is not None and starts is None:
        raise DataError(f"the family {family.name!r} needs starts: random ones are made for Gaussians only")
    density = family or Gaussian.of(federation, **options)
    model = FederatedModel(federation, density, n_components, n_jobs=n_jobs)
    starts = starts or random_starts(federation, n_components, density, n_init, as_generator(random_state))

    def climb(start: Any, most: int) -> EMResult[Any]:
        return run_em(model, start, stopping=SmallGain(tol, most), acceleration=acceleration)

    if len(starts) > 1:
        found = [climb(start, FIRST_STEPS).parameters for start in starts]
        starts = [max(found, key=lambda parameters: model.expect(parameters).objective)]
    result = climb(starts[0], max_iter)
    return FederatedResult(result, federation.traffic)


def random_starts(
    federation: Federation, n_components: int, family: Family[Any, Any], n: int, rng: np.random.Generator
) -> list[Any]:
    """Return starts from clusters of made-up rows that have the pooled means and variances."""
    scale, starts = np.sqrt(federation.variance), []
    for _ in range(n):
        standard = rng.standard_normal((100 * n_components, federation.n_features))
        centers = standard[:n_components]
        labels = np.square(standard[:, None] - centers).sum(axis=2).argmin(axis=1)
        made_up = Samples.of(federation.mean + scale * standard)
        starts.append(family.from_responsibilities(made_up, labels[:, None] == np.arange(n_components)))
    return starts
