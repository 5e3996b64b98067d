"""Forms of covariance beside the peers, whole fits of 50 steps, many components; all in turn, in one run."""

import statistics
from functools import partial
from typing import Any

import numpy as np
from benchmark_em import (
    FEW,
    MANY,
    Fit,
    digits,
    fit_onedal,
    fit_ours,
    fit_ours_float32,
    fit_sklearn,
    mean_log_likelihood,
    per_iteration,
    pixels,
)
from page import in_turn, ratio, table, timed, write_section

from segment.mixture import Parameters, Samples, initial_parameters

ROUNDS, WHOLE = 5, 50


def warm(fits: dict[str, Fit], X: np.ndarray, start: Parameters) -> None:
    """Let every program compile and start its threads before it is timed."""
    for fit in fits.values():
        fit(X[:20_000], start, FEW)


def rows_of(
    X: np.ndarray, start: Parameters, seconds: dict[str, list[float]], fits: dict[str, Fit]
) -> list[list[str]]:
    """Return a row for each program: median seconds, ratio to ours, difference of the log-likelihood."""
    first = next(iter(fits))
    ends = {name: mean_log_likelihood(X, fit(X, start, FEW + 2)) for name, fit in fits.items()}
    return [
        [
            name,
            f"{statistics.median(seconds[name]):.4f}",
            ratio(seconds[name], seconds[first][: len(seconds[name])]),
            f"{abs(ends[name] / ends[first] - 1):.1e}",
        ]
        for name in fits
    ]


def forms(shapes: dict[str, tuple[np.ndarray, int]]) -> str:
    """Return the table of diagonal and tied covariances."""
    rows = []
    for shape, (X, n_components) in shapes.items():
        for kind in ("diag", "tied"):
            start = initial_parameters(Samples.of(X), n_components, method="kmeans", covariance_type=kind)
            fits: dict[str, Fit] = {"segment": fit_ours}
            if kind == "diag":
                fits["oneDAL"] = fit_onedal
            warm(fits, X, start)
            seconds = in_turn(
                {name: partial(per_iteration, f, X, start, FEW, MANY) for name, f in fits.items()}, ROUNDS
            )
            fits["scikit-learn"] = fit_sklearn
            seconds |= in_turn(
                {"scikit-learn": partial(per_iteration, fit_sklearn, X, start, FEW, FEW + 2)}, 1
            )
            rows += [[shape, kind, *row] for row in rows_of(X, start, seconds, fits)]
            print(*rows[-len(fits) :], sep="\n", flush=True)
    header = ["rows", "covariances", "program", "seconds an iteration", "times the seconds of segment"]
    return table([*header, f"difference of the log-likelihood after {FEW + 2} E-steps"], rows)


def poor_start(X: np.ndarray, n_components: int) -> Parameters:
    """Return a start at which components overlap: drawn responsibilities, as scikit-learn's "random"."""
    return initial_parameters(Samples.of(X), n_components, method="random")


def whole(X: np.ndarray, n_components: int) -> str:
    """Return the table of whole fits of 50 E-steps from one start, and of its first ten steps."""
    start = poor_start(X, n_components)
    fits: dict[str, Fit] = {"segment": fit_ours, "segment, float32": fit_ours_float32, "oneDAL": fit_onedal}
    warm(fits, X, start)
    parts = []
    for what, run in (
        (f"{WHOLE} E-steps, seconds", lambda fit: timed(lambda: fit(X, start, WHOLE))),
        ("one of the first ten, seconds", lambda fit: per_iteration(fit, X, start, FEW, MANY)),
    ):
        seconds = in_turn({name: partial(run, fit) for name, fit in fits.items()}, ROUNDS)
        header = ["program", what, "times the seconds of segment"]
        parts.append(table([*header, "difference of the log-likelihood"], rows_of(X, start, seconds, fits)))
        print(parts[-1], flush=True)
    return "\n\n".join(parts)


def many_components(X: np.ndarray) -> str:
    """Return the table of a step of 80 components over 30 features, as the merging of digits takes them."""
    start = initial_parameters(Samples.of(X), 80, method="kmeans")
    fits: dict[str, Fit] = {"segment": fit_ours, "oneDAL": fit_onedal}
    warm(fits, X, start)
    seconds = in_turn(
        {name: partial(per_iteration, fit, X, start, FEW, FEW + 4) for name, fit in fits.items()}, ROUNDS
    )
    header = ["program", "seconds an iteration", "times the seconds of segment"]
    return table([*header, "difference of the log-likelihood"], rows_of(X, start, seconds, fits))


def main() -> int:
    shapes: dict[str, tuple[np.ndarray, int]] = {"4 014 426 x 3 pixels, K = 8": (pixels(), 8)}
    scores = digits()
    if scores is not None:
        shapes["70 000 x 50 digits, K = 10"] = scores, 10
    parts: list[Any] = ["### Diagonal and tied covariances", forms(shapes)]
    if scores is not None:
        parts += ["### Whole fits: 70 000 x 50 digits, K = 10, full, from a poor start", whole(scores, 10)]
        leading = np.ascontiguousarray(scores[:, :30])
        parts += ["### Many components: 70 000 x 30 digits, K = 80, full", many_components(leading)]
    write_section("speed", "Speed by form and length", "\n\n".join(parts))
    return 0
