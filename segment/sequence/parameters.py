"""Parameters of a hidden Markov model over any family of densities, and what an E-step leaves."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segment.archive import Field, read_archive, write_archive
from segment.errors import DataError, ModelError
from segment.mixture.families.table import FAMILIES, family_of

_CURE = "give one that HiddenMarkov.save has written"
_OWN = {"starts": Field("f", 1), "transitions": Field("f", 2), "family": Field("U", 0)}


@dataclass(frozen=True, eq=False)
class ChainParameters:
    """A hidden Markov chain of K states, each with a density.

    Attributes
    ----------
    starts : (K,) float64 ndarray
        Probabilities of the first state.
    transitions : (K, K) float64 ndarray
        Entry (i, j): of going from state i to state j. Rows sum to 1.
    emissions : parameters of a mixture
        Component k is the density of state k. Its weights mean nothing and are equal.
    """

    starts: np.ndarray
    transitions: np.ndarray
    emissions: Any

    def __post_init__(self) -> None:
        K = self.emissions.n_components
        for name, shape in (("starts", (K,)), ("transitions", (K, K))):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, array)
            if array.shape != shape:
                raise DataError(f"{name} has shape {array.shape}; {shape} is needed")
            if not (array >= 0).all() or np.abs(array.sum(axis=-1) - 1.0).max() > 1e-6:
                raise DataError(f"{name} must not be negative and must sum to 1, a row of transitions each")
        object.__setattr__(self, "emissions", replace(self.emissions, weights=np.full(K, 1.0 / K)))

    @property
    def n_components(self) -> int:
        """Number of states."""
        return len(self.starts)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.emissions.n_features

    @property
    def n_parameters(self) -> int:
        """Number of free parameters, those of the start included."""
        K = self.n_components
        return self.emissions.n_parameters + K * (K - 1)

    def reordered(self, order: Any) -> ChainParameters:
        """Return the same model with state ``order[k]`` as number k."""
        order = np.asarray(order)
        moved = self.transitions[np.ix_(order, order)]
        return ChainParameters(self.starts[order], moved, self.emissions.reordered(order))

    def save(self, path: str | os.PathLike[str], **extra: Any) -> None:
        """Write the parameters, and arrays or texts that go with them, to an .npz file."""
        family = family_of(self.emissions).name
        arrays = {"starts": self.starts, "transitions": self.transitions, "family": np.array(family)}
        arrays |= {f"emissions_{name}": getattr(self.emissions, name) for name in self.emissions.fields}
        write_archive(path, arrays | extra)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[ChainParameters, dict[str, np.ndarray]]:
        """Read what `save` wrote: the parameters, and what went with them.

        Raises
        ------
        ModelError
            If the file is missing, damaged or no hidden Markov model.
        """
        found = read_archive(path, "hidden Markov model", _CURE, _OWN)
        try:
            kind: Any = FAMILIES[str(found["family"])].parameters
            names = {name: f"emissions_{name}" for name in kind.fields}
            needed = {names[name]: field for name, field in kind.fields.items()}
            read_archive(path, "hidden Markov model", _CURE, needed)
            values = {name: found.pop(names[name]) for name in names}
            emissions = kind(**{name: v.item() if v.ndim == 0 else v for name, v in values.items()})
            emissions.check()
            return cls(found.pop("starts"), found.pop("transitions"), emissions), found
        except (DataError, KeyError) as error:
            raise ModelError(
                f"{path}: not a hidden Markov model that this program wrote ({error}); {_CURE}"
            ) from error


@dataclass(frozen=True, eq=False)
class ChainStatistics:
    """What an E-step leaves of sequences. It adds, and the M-step sees only the sum.

    Attributes
    ----------
    emissions : statistics of the family
    starts : (K,) float64 ndarray
        Expected number of sequences that begin in each state.
    transitions : (K, K) float64 ndarray
        Expected number of transitions.
    log_likelihood : float
        Weighted sum of the log densities of the sequences, in nats.
    """

    emissions: Any
    starts: np.ndarray
    transitions: np.ndarray
    log_likelihood: float

    def __add__(self, other: ChainStatistics) -> ChainStatistics:
        return ChainStatistics(
            self.emissions + other.emissions,
            self.starts + other.starts,
            self.transitions + other.transitions,
            self.log_likelihood + other.log_likelihood,
        )
