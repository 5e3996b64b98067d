"""The families that a mixture can be made of: to add one, add its module and its line here."""

from __future__ import annotations

from typing import Any

from segment.mixture.families.bernoulli import Bernoulli
from segment.mixture.families.family import Family, MixtureParameters
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.gaps import GappyGaussian
from segment.mixture.families.multinomial import Multinomial
from segment.mixture.families.poisson import Poisson
from segment.mixture.families.student.family import Student
from segment.mixture.families.variational.family import Bayesian

FAMILIES: dict[str, type[Family[Any, Any]]] = {
    family.name: family
    for family in (Gaussian, GappyGaussian, Bernoulli, Poisson, Multinomial, Bayesian, Student)
}


def family_of(parameters: MixtureParameters) -> Family[Any, Any]:
    """Return the family of given parameters, without regularization."""
    known = {family.parameters: family for family in FAMILIES.values()}
    # The class itself before those that it is derived from.
    for kind in type(parameters).__mro__:
        if kind in known:
            return known[kind].plain(parameters)
    raise TypeError(f"no family has parameters of type {type(parameters).__name__}")
