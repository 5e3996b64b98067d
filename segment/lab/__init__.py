"""The lab: every classic experiment on EM, reproduced, checked and drawn.

An experiment is a module with a `LESSON` to be read first, and `run(random_state)`, which returns a frozen
`Outcome`; its figures come from `pictures(outcome)`. Modules are imported when their experiment is run.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from segment.errors import DataError
from segment.parallel import single_threaded_blas

if TYPE_CHECKING:
    from segment.lab.lesson import Lesson
    from segment.lab.outcome import Outcome, Picture


class Experiment(NamedTuple):
    """Name on the command line, title, the question it answers, and the modules that do it."""

    name: str
    title: str
    question: str
    module: str
    figures: str

    @property
    def lesson(self) -> Lesson:
        """What is to be known before its findings can be read."""
        return importlib.import_module(self.module).LESSON

    @single_threaded_blas()
    def run(self, random_state: int = 0) -> Outcome:
        """Run the experiment."""
        return importlib.import_module(self.module).run(random_state)

    @single_threaded_blas()
    def pictures(self, outcome: Outcome) -> tuple[Picture, ...]:
        """Return the figures of what `run` returned."""
        return importlib.import_module(self.figures).pictures(outcome)


def _experiment(name: str, title: str, question: str, own_figures: bool = False) -> Experiment:
    module = f"segment.lab.{name.replace('-', '_')}"
    return Experiment(name, title, question, module, f"{module}_figures" if own_figures else module)


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        _experiment("heights", "Heights", "How much does the start of EM matter?", own_figures=True),
        _experiment("four-gaussians", "Four Gaussians", "Does a mixture recover what the data came from?"),
        _experiment("mouse", "The mouse", "Where does k-means fail, and EM not?"),
        _experiment(
            "single-or-mixture",
            "One Gaussian or two",
            "What does a likelihood compare, and what does EM climb?",
            own_figures=True,
        ),
        _experiment("peppered-moths", "Peppered moths", "Does EM need Gaussians?"),
        _experiment("five-points", "Five points by hand", "What does one step of EM compute?"),
        _experiment("death-notices", "Death notices", "What do counts hide, and how slow can EM be?"),
        _experiment("bernoulli-digits", "Binary digits", "What do the components of a mixture look like?"),
        _experiment(
            "variational", "Components that fade", "Does EM have to be told how many components there are?"
        ),
        _experiment("missing", "Missing entries", "What if part of the data is not there?"),
        _experiment("video-background", "What moves", "Why does a pixel need more than one Gaussian?"),
        _experiment(
            "linkage", "Genetic linkage", "How fast is EM, and how sure is its answer?", own_figures=True
        ),
        _experiment("online", "Variants of EM", "Must a step see all the data, and maximize?"),
        _experiment(
            "ecm-t",
            "Student's t",
            "What if a value is wild, and the M-step has no formula?",
            own_figures=True,
        ),
        _experiment("earthquakes", "Earthquakes", "What do neighbors in time tell of each other?"),
        _experiment("potts", "A Potts field", "What do neighbors in the plane tell of each other?"),
        _experiment("merging", "Merging", "How many clusters are six Gaussians?"),
        _experiment("federated", "Federated", "Can sites fit together that may not share rows?"),
        _experiment("iris", "Iris", "Is the highest likelihood always the answer?", own_figures=True),
    )
}


def experiment(name: str) -> Experiment:
    """Return the experiment called `name`.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in EXPERIMENTS:
        raise DataError(f"there is no experiment {name!r}; allowed are {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def experiments(names: Sequence[str]) -> list[Experiment]:
    """Return the experiments of those names, each once, in the order of the lab."""
    wanted = {experiment(name).name for name in names}
    return [found for name, found in EXPERIMENTS.items() if name in wanted]
