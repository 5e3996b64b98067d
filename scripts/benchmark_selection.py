"""How many colors: rules against people on photos of BSDS500 train, and the curves as a figure."""

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from environment import ROOT
from page import table, write_section

from segment.photo import Photo, segment_photo
from segment.photo.colors import to_features
from segment.photo.distinct import distinct_colors
from segment.photo.evaluation import RegionScores, bsds500_names, load_bsds500_image, region_scores
from segment.photo.fit import RELATIVE_REG
from segment.photo.selection import MAX_COMPONENTS, Selection, select_n_components

N_PHOTOS = 40
# Photos whose curves the figure shows.
SHOWN = 6
FIGURE = ROOT / "docs" / "gallery" / "number_of_colors.png"


def within_errors(n_errors: float) -> Callable[[Selection], int]:
    """The smallest number that is not worse than the best by so many standard errors."""
    return lambda found: min(
        n for n in found.icl if found.icl[n] - found.icl[found.best] <= n_errors * found.errors[n]
    )


def gaining(share: float) -> Callable[[Selection], int]:
    """The smallest number that has a share of the best number's gain over one."""

    def choose(found: Selection) -> int:
        least = found.icl[found.best]
        return min(n for n in found.icl if found.icl[n] - least <= (1 - share) * (found.icl[1] - least))

    return choose


RULES: dict[str, Callable[[Selection], int]] = {
    "smallest ICL": lambda found: found.best,
    "within 1 standard error": within_errors(1.0),
    "within 2 standard errors": within_errors(2.0),
    "98 % of the gain": gaining(0.98),
    "95 % of the gain": gaining(0.95),
    "90 % of the gain": gaining(0.90),
}


def components_of(label_map: np.ndarray) -> np.ndarray:
    """Return the connected components of a label map, from 0."""
    from skimage.measure import label

    return label(label_map, background=-1, connectivity=1) - 1


def judged(name: str) -> tuple[Selection, dict[int, RegionScores]]:
    """Return the curve of a photo, and the scores of every number that a rule chooses."""
    photo = load_bsds500_image("train", name)
    colors = distinct_colors(Photo.of(photo.image))
    from segment.data.samples import Samples

    samples = Samples.of(to_features(colors.values, "lab"), colors.weights)
    found = select_n_components(samples, relative_reg=RELATIVE_REG)
    scores = {}
    for n in sorted({rule(found) for rule in RULES.values()}):
        label_map = segment_photo(photo.image, n_components=n).label_map
        scores[n] = region_scores(components_of(label_map), photo.annotations)
    print(name, {rule: choose(found) for rule, choose in RULES.items()}, flush=True)
    return found, scores


def row(rule: str, found: dict[str, tuple[Selection, dict[int, RegionScores]]]) -> list[Any]:
    numbers = {name: RULES[rule](selection) for name, (selection, _) in found.items()}
    scores = [found[name][1][n] for name, n in numbers.items()]
    covering = sum(each.covered for each in scores) / sum(each.area for each in scores)
    few = sum(3 <= n <= 8 for n in numbers.values())
    return [
        rule,
        f"{covering:.4f}",
        f"{statistics.mean(each.rand_index for each in scores):.4f}",
        f"{statistics.mean(numbers.values()):.1f}",
        f"{statistics.median(numbers.values()):g}",
        f"{few} of {len(numbers)}",
    ]


def draw(found: dict[str, Selection]) -> Any:
    """Draw the curve of each photo with its error, the smallest ICL and the choice."""
    from segment.style import COLORS, new_figure, quiet_axes

    figure = new_figure(10.5, 5.4)
    for axes, (name, selection) in zip(figure.subplots(2, 3).ravel(), found.items(), strict=True):
        n, values = np.array(list(selection.icl)), np.array(list(selection.icl.values()))
        errors = np.array(list(selection.errors.values()))
        least = values.min()
        axes.fill_between(
            n, values - least - errors, values - least + errors, color=COLORS[0], alpha=0.18, lw=0
        )
        axes.plot(n, values - least, "-o", color=COLORS[0], markersize=3.5, linewidth=1.3)
        axes.axhline(0, color="0.6", linewidth=0.8)
        best, chosen = selection.best, selection.n_components
        ring = {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.8, "linestyle": "none"}
        (square,) = axes.plot(
            best, 0, "s", color="0.35", markersize=7, markerfacecolor="none", linestyle="none"
        )
        (circle,) = axes.plot(chosen, selection.icl[chosen] - least, "o", color=COLORS[1], **ring)
        most = np.sort(values - least + errors)[-3]
        axes.set_ylim(-0.12 * most, 1.1 * most)
        axes.set_xticks(range(1, MAX_COMPONENTS + 1))
        quiet_axes(axes, f"{name}: {chosen}", "components", "ICL above the smallest")
    band_drawn = axes.collections[0]
    words = ["chosen", "smallest ICL", "standard error of the difference"]
    figure.legend([circle, square, band_drawn], words, loc="outside upper center", ncols=3, frameon=False)
    return figure


def main() -> None:
    from segment.photo.read import read_photo
    from segment.style import save_figure

    names = bsds500_names("train")
    names = names[:: len(names) // N_PHOTOS][:N_PHOTOS]
    found = {name: judged(name) for name in names}
    astronaut = segment_photo(read_photo("skimage:astronaut"), smooth="none").selection
    assert astronaut is not None
    curves = {"astronaut": astronaut} | {name: found[name][0] for name in names[: SHOWN - 1]}
    save_figure(draw(curves), FIGURE, 100)
    rows = [row(rule, found) for rule in RULES]
    note = (
        f"{len(names)} photos of BSDS500 train, evenly taken from its list; `segment_photo` with the "
        "number that a rule chooses from the curve of ICL; connected components of the labels against all "
        "annotators. "
        f"astronaut: {astronaut}."
    )
    header = ["rule", "covering", "Rand index", "mean K", "median K", "K from 3 to 8"]
    write_section("selection", "The number of colors against people", note + "\n\n" + table(header, rows))
