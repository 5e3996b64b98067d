"""The families that a mixture can be made of: to add one, add its module and its line here."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

from segment.mixture.families.family import Family, MixtureParameters


class _Families(MutableMapping[str, type[Family[Any, Any]]]):
    """Families by name; a module is imported when its family is asked for: no photo waits for others."""

    def __init__(self, places: dict[str, str]) -> None:
        self._found: dict[str, str | type[Family[Any, Any]]] = {**places}

    def __getitem__(self, name: str) -> type[Family[Any, Any]]:
        found = self._found[name]
        if isinstance(found, str):
            module, _, kind = found.rpartition(".")
            found = getattr(importlib.import_module(f"segment.mixture.families.{module}"), kind)
            self._found[name] = found
        return found

    def __setitem__(self, name: str, family: type[Family[Any, Any]]) -> None:
        self._found[name] = family

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found


FAMILIES = _Families(
    {
        "gaussian": "gaussian.family.Gaussian",
        "gaussian-gaps": "gaussian.gaps.GappyGaussian",
        "bernoulli": "bernoulli.Bernoulli",
        "poisson": "poisson.Poisson",
        "multinomial": "multinomial.Multinomial",
        "bayesian": "variational.family.Bayesian",
        "student": "student.family.Student",
    }
)


def family_of(parameters: MixtureParameters) -> Family[Any, Any]:
    """Return the family of given parameters, without regularization."""
    return FAMILIES[parameters.family].plain(parameters)
