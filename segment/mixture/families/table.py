"""The families that a mixture can be made of: to add one, add its module and its line here."""

from __future__ import annotations

from typing import Any

from segment.mixture.families.bernoulli import Bernoulli
from segment.mixture.families.family import Family, MixtureParameters
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.poisson import Poisson

FAMILIES: dict[str, type[Family[Any, Any]]] = {
    family.name: family for family in (Gaussian, Bernoulli, Poisson)
}


def family_of(parameters: MixtureParameters) -> Family[Any, Any]:
    """Return the family of given parameters, without regularization."""
    for family in FAMILIES.values():
        if isinstance(parameters, family.parameters):
            return family.plain(parameters)
    raise TypeError(f"no family has parameters of type {type(parameters).__name__}")
