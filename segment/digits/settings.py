"""What a clustering of digits is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from segment.errors import DataError

# Principal components by default: what each kind of features was best with on MNIST.
N_FEATURES = {"scattering": 200, "deskew": 30, "pixels": 50}
SPLITS = ("all", "train", "train-test")
REFINEMENTS = ("consensus", "graph", "none")
AUTO = "auto"


@dataclass(frozen=True)
class DigitSettings:
    """What to do; the defaults are the best pipeline.

    Attributes
    ----------
    features : "scattering", "deskew" or "pixels"
    n_features : int, optional
        Principal components (default 200 for scattering, 30 for deskew, 50 for pixels).
    covariance_type : "full", "diag", "tied" or "spherical"
    n_clusters : int or "auto"
        "auto" chooses from 2 to 20 by the stability of the consensus.
    n_components : int, optional
        Components of the mixture, merged to `n_clusters` by the method `merge`.
    merge : "overlap", "demp" or "entropy"
    refine : "consensus", "graph" or "none"
        What becomes of the mixture's clusters: one candidate beside a consensus on four views of each digit;
        the start of a cut of one view's graph; or the outcome.
    n_init : int, optional
        Starts to choose from (default 32; 6 for more than 20 clusters; 8 where components are merged).
    random_state : int
    """

    features: str = "scattering"
    n_features: int | None = None
    covariance_type: str = "full"
    n_clusters: int | str = 10
    n_components: int | None = None
    merge: str = "overlap"
    refine: str = "graph"
    n_init: int | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        if self.features not in N_FEATURES:
            raise DataError(f"features are {self.features!r}; allowed are {', '.join(N_FEATURES)}")
        if self.refine not in REFINEMENTS:
            raise DataError(f"refine is {self.refine!r}; allowed are {', '.join(REFINEMENTS)}")
        if isinstance(self.n_clusters, str):
            self._check_auto()
            return
        if self.n_clusters < 1:
            raise DataError(f"{self.n_clusters} clusters; allowed are 1, 2, 3, ...")
        if self.components < self.n_clusters:
            raise DataError(
                f"{self.components} components cannot be merged to {self.n_clusters} clusters; "
                f"ask for at least {self.n_clusters} components"
            )

    def _check_auto(self) -> None:
        if self.n_clusters != AUTO:
            raise DataError(f"{self.n_clusters!r} clusters; allowed are 1, 2, 3, ... and {AUTO!r}")
        if self.refine != "consensus" or self.n_components is not None:
            raise DataError(
                "the number of clusters is chosen by the consensus, before any components; try --refine "
                "consensus without --components, or give the number"
            )

    @property
    def clusters(self) -> int:
        """Clusters, once their number is settled."""
        return int(self.n_clusters)

    @property
    def axes(self) -> int:
        """Principal components."""
        return N_FEATURES[self.features] if self.n_features is None else self.n_features

    @property
    def components(self) -> int:
        """Components of the mixture."""
        return self.clusters if self.n_components is None else self.n_components
