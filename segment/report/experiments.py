"""The lab's sections: findings, replay, figures, tables and checks of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segment.lab import Experiment
from segment.lab.outcome import Outcome, Picture
from segment.lab.write import FORMATS, PRINT_DPI, write_experiment
from segment.report.blocks import (
    Checks,
    Figure,
    Findings,
    LessonBlock,
    Prose,
    Replay,
    Section,
    TableBlock,
    embedded_figure,
)
from segment.report.replays import (
    replay_earthquakes,
    replay_four_gaussians,
    replay_missing,
    replay_mouse,
    replay_variational,
    replay_video_background,
)
from segment.report.settings import Settings

# Experiment -> (what makes the replay's data, caption).
_REPLAYS: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "mouse": (
        replay_mouse,
        "k-means beside EM on the mouse, both from the same three centers. Move the slider or press play: "
        "points take the colors of the components responsible for them, ellipses are at two standard "
        "deviations.",
    ),
    "four-gaussians": (
        replay_four_gaussians,
        "EM on the four Gaussians, iteration by iteration: responsibilities by color, ellipses at two "
        "standard deviations, and the log-likelihood, which never falls.",
    ),
    "variational": (
        replay_variational,
        "A variational mixture of ten components, step by step: ellipses at two standard deviations; those "
        "without points fade. The curve is the lower bound of the log evidence.",
    ),
    "missing": (
        replay_missing,
        "Gaps filled in, iteration by iteration, from four wide Gaussians near the middle: ringed points "
        "lack a coordinate and lie where it is expected, given the other one. At first that is near the "
        "middle; as the components part, the points go with them, and end on the regression lines.",
    ),
    "earthquakes": (
        replay_earthquakes,
        "Baum-Welch on the earthquakes, iteration by iteration: years to the right, counts upwards, in the "
        "colors of the three states; left by the posterior of each year, right by the most probable path "
        "(Viterbi). The crosses are the states' rates.",
    ),
    "video-background": (
        replay_video_background,
        "One pixel's mixture as the frames come: its colors in all frames, luma to the right and a chroma "
        "upwards, in the colors of the components nearest to them; ellipses at two standard deviations. "
        "Components come, and those without support go.",
    ),
}


def lab_section(experiment: Experiment, settings: Settings) -> Section:
    """Run an experiment, write its files, and show all of it."""
    outcome = experiment.run(settings.random_state)
    write_experiment(experiment, outcome, settings.folder, FORMATS)
    blocks: list[Any] = [Prose((experiment.question,)), LessonBlock(experiment.lesson)]
    blocks.append(Findings(outcome.findings))
    blocks += _replay(experiment, outcome)
    blocks += figures(experiment.pictures(outcome), settings.folder)
    blocks += [TableBlock(table) for table in outcome.tables]
    blocks.append(Checks(experiment.title, outcome.checks))
    record = {"passed": outcome.passed, "checks": [check._asdict() for check in outcome.checks]}
    return Section(experiment.name, experiment.title, tuple(blocks), record)


def _replay(experiment: Experiment, outcome: Outcome) -> list[Replay]:
    if experiment.name not in _REPLAYS:
        return []
    make, caption = _REPLAYS[experiment.name]
    return [Replay(f"{experiment.name}-replay", caption, make(outcome))]


def figures(pictures: Sequence[Picture], folder: Path) -> list[Figure]:
    """Embed figures that have been written to ``figures/``."""
    return [
        Figure(
            picture.name,
            picture.caption,
            embedded_figure(folder / "figures" / f"{picture.name}.png", picture.alt, PRINT_DPI),
        )
        for picture in pictures
    ]
