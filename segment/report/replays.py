"""What the page's replays draw from: points, and for every iteration shares, ellipses and a value."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.data.gaps import GappySamples
from segment.lab.earthquakes import COUNTS, FIRST_YEAR, Earthquakes
from segment.lab.four_gaussians import FourGaussians
from segment.lab.missing import Missing
from segment.lab.mouse import Mouse
from segment.lab.trace import Trace
from segment.lab.variational import FADED, Variational
from segment.lab.video_background import VideoBackground
from segment.mixture.expectation import responsibilities
from segment.mixture.families.gaussian.parameters import Parameters
from segment.mixture.imputation import impute
from segment.style import COLORS
from segment.words import shown

# The panel's units along its longer side; whole numbers keep the page small.
_UNITS = 1000
_RADIUS = 2.0


class View:
    """Maps the plane to a panel whose y axis points down, with a margin about the points."""

    def __init__(self, X: np.ndarray) -> None:
        margin = 0.06 * float(np.ptp(X, axis=0).max())
        self.low, self.high = X.min(axis=0) - margin, X.max(axis=0) + margin
        self.scale = _UNITS / float((self.high - self.low).max())

    def size(self) -> list[int]:
        """Return width and height of the panel."""
        return np.ceil((self.high - self.low) * self.scale).astype(int).tolist()

    def places(self, X: np.ndarray) -> list[list[int]]:
        """Return points in the panel's units."""
        flipped = np.stack([X[:, 0] - self.low[0], self.high[1] - X[:, 1]], axis=1)
        return np.rint(flipped * self.scale).astype(int).tolist()

    def ellipses(self, parameters: Parameters) -> list[list[float]]:
        """Return center, half axes at two standard deviations, and angle in degrees of each component."""
        found = []
        centers = self.places(parameters.means)
        for center, covariance in zip(centers, parameters.spread_covariances(), strict=True):
            variances, directions = np.linalg.eigh(covariance)
            axes = _RADIUS * np.sqrt(variances[::-1]) * self.scale
            angle = -np.degrees(np.arctan2(directions[1, 1], directions[0, 1]))
            found.append([*center, *(round(float(value), 1) for value in (*axes, angle))])
        return found


def em_panel(X: np.ndarray, trace: Trace[Any], view: View) -> dict[str, Any]:
    """Return a panel of EM: responsibilities in per cent, ellipses, and the log-likelihood."""
    steps = [
        {
            "shares": np.rint(100 * responsibilities(X, parameters)).astype(int).tolist(),
            "ellipses": view.ellipses(parameters),
        }
        for parameters in trace.parameters
    ]
    return {
        "title": "EM",
        "curve": shown("log-likelihood (nats)"),
        "values": [round(float(value), 2) for value in trace.log_likelihoods],
        "steps": steps,
    }


def kmeans_panel(result: Mouse, view: View) -> dict[str, Any]:
    """Return a panel of k-means: labels, centers, and the sum of squared distances."""
    steps, values = [], []
    for centers, labels in zip(result.kmeans_centers, result.kmeans_labels, strict=True):
        shares = 100 * (labels[:, None] == np.arange(len(centers)))
        steps.append({"shares": shares.tolist(), "centers": view.places(centers)})
        values.append(round(float(np.square(result.X - centers[labels]).sum()), 3))
    return {"title": "k-means", "curve": shown("sum of squared distances"), "values": values, "steps": steps}


def replay_mouse(result: Mouse) -> dict[str, Any]:
    """Return the replay of k-means beside EM, both from the same centers."""
    view = View(result.X)
    panels = [kmeans_panel(result, view), em_panel(result.X, result.trace, view)]
    return _replay(result.X, view, panels)


def replay_four_gaussians(result: FourGaussians) -> dict[str, Any]:
    """Return the replay of EM on the four Gaussians."""
    view = View(result.X)
    return _replay(result.X, view, [em_panel(result.X, result.trace, view)])


def replay_variational(result: Variational) -> dict[str, Any]:
    """Return the replay of a variational mixture; the ellipses of faded components shrink to points."""
    view = View(result.X)
    panel = em_panel(result.X, result.trace, view)
    for step, parameters in zip(panel["steps"], result.trace.parameters, strict=True):
        for k in np.flatnonzero(parameters.weights <= FADED):
            step["ellipses"][k] = [*step["ellipses"][k][:2], 0.0, 0.0, 0.0]
    panel |= {"title": shown("ten components"), "curve": shown("lower bound (nats)")}
    return _replay(result.X, view, [panel])


def replay_video_background(result: VideoBackground) -> dict[str, Any]:
    """Return the replay of one pixel's mixture, in luma and the chroma (2 G - B - R) / 4."""
    X = result.colors[:, [0, 2]]
    view = View(X)
    n = max(len(mixture) for mixture in result.mixtures)
    steps = [
        {"shares": _nearest(X, mixture, n), "ellipses": _pixel_ellipses(view, mixture, n)}
        for mixture in result.mixtures
    ]
    values = [len(mixture) for mixture in result.mixtures]
    panel = {"title": shown("a pixel"), "curve": shown("components"), "values": values, "steps": steps}
    return {"size": view.size(), "points": view.places(X), "colors": COLORS[:n], "panels": [panel]}


def replay_earthquakes(result: Earthquakes) -> dict[str, Any]:
    """Return the replay of Baum-Welch: every year's posterior, and the most probable path, by iteration."""
    years = FIRST_YEAR + np.arange(len(COUNTS))
    X = np.stack([years, COUNTS], axis=1)
    view = View(X)
    n = len(result.model.starts_)
    rates = [
        view.places(np.stack([np.full(n, FIRST_YEAR - 3), step.emissions.rates[:, 0]], axis=1))
        for step in result.trace.parameters
    ]
    values = [round(float(value), 3) for value in result.trace.log_likelihoods]
    shares = {
        "posterior of each year": [np.rint(100 * found).astype(int).tolist() for found in result.posteriors],
        "most probable path": [(100 * (path[:, None] == np.arange(n))).tolist() for path in result.paths],
    }
    panels = [
        {
            "title": shown(title),
            "curve": shown("log-likelihood (nats)"),
            "values": values,
            "steps": [{"shares": one, "centers": at} for one, at in zip(found, rates, strict=True)],
        }
        for title, found in shares.items()
    ]
    return _replay(X, view, panels)


def replay_missing(result: Missing) -> dict[str, Any]:
    """Return the replay of gaps filled in: the points with a gap lie where each step expects them."""
    known = result.gappy[~np.isnan(result.gappy).all(axis=1)]
    samples = GappySamples.of(known)
    moving = np.flatnonzero(np.isnan(known).any(axis=1))
    view = View(result.X)
    steps = []
    for parameters in result.filling.parameters:
        filled = impute(known, parameters, n_jobs=1)
        steps.append(
            {
                "shares": np.rint(100 * responsibilities(samples, parameters)).astype(int).tolist(),
                "ellipses": view.ellipses(parameters),
                "moved": view.places(filled[moving]),
            }
        )
    panel = {
        "title": shown("four Gaussians, 30 % gaps"),
        "curve": shown("log-likelihood (nats)"),
        "values": [round(float(value), 2) for value in result.filling.log_likelihoods],
        "steps": steps,
    }
    points = impute(known, result.filling.last, n_jobs=1)
    return _replay(points, view, [panel]) | {"moving": moving.tolist()}


def _nearest(X: np.ndarray, mixture: np.ndarray, n: int) -> list[list[int]]:
    """Return 100 for the component that explains each point best; `mixture` as Background.components."""
    variances, means = mixture[:, [1, 2]], mixture[:, [3, 5]]
    apart = np.square(X[:, None] - means) / variances
    scores = np.log(mixture[:, 0]) - 0.5 * (apart + np.log(variances)).sum(axis=-1)
    return (100 * (scores.argmax(axis=1)[:, None] == np.arange(n))).tolist()


def _pixel_ellipses(view: View, mixture: np.ndarray, n: int) -> list[list[float]]:
    """Return center, half axes and angle of each component; those not in use are points."""
    centers = view.places(mixture[:, [3, 5]])
    axes = (_RADIUS * np.sqrt(mixture[:, [1, 2]]) * view.scale).round(1).tolist()
    used = [[*center, *pair, 0.0] for center, pair in zip(centers, axes, strict=True)]
    return used + [[*centers[0], 0.0, 0.0, 0.0]] * (n - len(used))


def _replay(X: np.ndarray, view: View, panels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "size": view.size(),
        "points": view.places(X),
        "colors": COLORS[: len(panels[-1]["steps"][0]["shares"][0])],
        "panels": panels,
    }
