"""EM itself: an iteration against the peers, memory, how often the start hits, what acceleration saves."""

import multiprocessing
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from page import in_turn, peak_memory, ratio, reset_peak_memory, table, timed, write_section

from segment.em import Expectation, SmallGain, run_em
from segment.errors import ConvergenceWarning, SegmentError
from segment.mixture import (
    Gaussian,
    Parameters,
    Samples,
    accumulate,
    fit_em,
    fit_mixture,
    initial_parameters,
)
from segment.mixture.expectation import responsibilities, score_samples
from segment.mixture.model import MixtureModel

# Fits samples from a start, for so many iterations.
Fit = Callable[..., Parameters]

PHOTOS = ("astronaut", "coffee", "cat", "rocket")
N_PIXELS, ROUNDS, SEEDS = 4_014_426, 7, 20

# OpenCV takes minutes an iteration beyond this many samples times components.
OPENCV_LIMIT = 2_000_000

# Two runs of different length: their difference holds whole iterations and nothing else.
FEW, MANY = 2, 12
# Components and features of an E-step whose moments are large.
LARGE = 80, 200


def photo_colors(name: str) -> np.ndarray:
    import skimage.data

    return getattr(skimage.data, name)()[..., :3].reshape(-1, 3)


def pixels() -> np.ndarray:
    """The bundled photos' colors, repeated with sd 2 noise to as many rows as 26 BSDS500 photos have."""
    colors = np.concatenate([photo_colors(name) for name in PHOTOS])
    rng = np.random.default_rng(0)
    return np.resize(colors, (N_PIXELS, 3)) + rng.normal(0, 2, (N_PIXELS, 3))


def digits() -> np.ndarray | None:
    """MNIST in 50 principal components, where it is at hand."""
    from sklearn.decomposition import PCA

    from segment.digits import load_digits

    try:
        images = load_digits("mnist").images
    except SegmentError as error:
        print(f"without digits: {error}")
        return None
    flat = images.reshape(len(images), -1).astype(np.float64) / 255.0
    return PCA(50, svd_solver="covariance_eigh").fit_transform(flat)


def fit_ours(X: np.ndarray, start: Parameters, n_iter: int) -> Parameters:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = fit_em(Samples.of(X), start, tol=-np.inf, max_iter=n_iter, reg_covar=0, acceleration=None)
    return result.parameters


def fit_ours_float32(X: np.ndarray, start: Parameters, n_iter: int) -> Parameters:
    return fit_ours(X.astype(np.float32), start, n_iter)


def fit_onedal(X: np.ndarray, start: Parameters, n_iter: int) -> Parameters:
    import daal4py

    # oneDAL counts M-steps, `fit_em` E-steps: its last E-step scores what the M-step before has made.
    fit = daal4py.em_gmm(
        start.n_components,
        maxIterations=n_iter - 1,
        accuracyThreshold=0.0,
        covarianceStorage="diagonal" if start.covariance_type == "diag" else "full",
    )
    given = [np.atleast_2d(covariance) for covariance in start.covariances]
    found = fit.compute(X, start.weights[None], start.means, given)
    covariances = np.reshape(found.covariances, start.covariances.shape)
    return Parameters(found.weights.ravel(), found.means, covariances, start.covariance_type)


def fit_sklearn(X: np.ndarray, start: Parameters, n_iter: int, reg_covar: float = 0.0) -> Parameters:
    from sklearn.mixture import GaussianMixture

    is_diag = start.covariance_type == "diag"
    model = GaussianMixture(
        start.n_components,
        covariance_type=start.covariance_type,
        tol=0,
        reg_covar=reg_covar,
        max_iter=n_iter - 1,
        init_params="random_from_data",
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=1.0 / start.covariances if is_diag else np.linalg.inv(start.covariances),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
    return Parameters(model.weights_, model.means_, model.covariances_, start.covariance_type)


def fit_opencv(X: np.ndarray, start: Parameters, n_iter: int) -> Parameters:
    import cv2

    model = cv2.ml.EM.create()
    model.setClustersNumber(start.n_components)
    model.setCovarianceMatrixType(cv2.ml.EM_COV_MAT_GENERIC)
    model.setTermCriteria((cv2.TERM_CRITERIA_COUNT, n_iter - 1, 0.0))
    # Its Python binding takes no start covariances, but the responsibilities of a start.
    model.trainM(X, responsibilities(X, start))
    weights = model.getWeights().ravel()
    return Parameters(weights / weights.sum(), model.getMeans(), np.stack(model.getCovs()), "full")


def per_iteration(fit: Fit, X: np.ndarray, start: Parameters, few: int, many: int) -> float:
    short = timed(lambda: fit(X, start, few))
    return (timed(lambda: fit(X, start, many)) - short) / (many - few)


def iterations(X: np.ndarray, n_components: int) -> str:
    """The table of one data set: seconds an iteration, ratio to ours, final log-likelihood against ours."""
    start = initial_parameters(Samples.of(X), n_components, method="kmeans")
    ours = "segment"
    quick: dict[str, Fit] = {
        ours: fit_ours,
        "segment, float32": fit_ours_float32,
        "oneDAL (daal4py)": fit_onedal,
    }
    slow: dict[str, Fit] = {"scikit-learn": fit_sklearn}
    if len(X) * n_components <= OPENCV_LIMIT:
        slow["OpenCV"] = fit_opencv
    for fit in quick.values():
        fit(X[:5000], start, FEW)

    def timings(fits: dict[str, Fit], many: int, rounds: int) -> dict[str, list[float]]:
        runs = {name: partial(per_iteration, fit, X, start, FEW, many) for name, fit in fits.items()}
        return in_turn(runs, rounds)

    seconds = timings(quick, MANY, ROUNDS) | timings(slow, FEW + 2, 1)
    reference = mean_log_likelihood(X, fit_ours(X, start, FEW + 2))
    rows = []
    for name, fit in (quick | slow).items():
        found = mean_log_likelihood(X, fit(X, start, FEW + 2))
        against = ratio(seconds[name], seconds[ours][: len(seconds[name])])
        typical, gap = statistics.median(seconds[name]), abs(found / reference - 1)
        rows.append([name, f"{typical:.4f}", against, f"{gap:.1e}"])
        print(*rows[-1], flush=True)
    difference = f"relative difference of the log-likelihood after {FEW + 2} E-steps"
    return table(["program", "seconds an iteration", "times the seconds of segment", difference], rows)


def mean_log_likelihood(X: np.ndarray, parameters: Parameters) -> float:
    return float(score_samples(X, parameters).mean())


def _peak(fit: Callable[..., Any], path: str, start: Parameters, answer: Any) -> None:
    X = np.load(path)
    fit(X[:10_000], start, FEW)
    before = peak_memory()
    fit(X, start, FEW)
    answer.put(peak_memory() - before)


def memory(X: np.ndarray, n_components: int) -> str:
    """Peak resident memory of a fit beyond the data and the loaded program, each in a process of its own."""
    start = initial_parameters(Samples.of(X), n_components, method="kmeans")
    context = multiprocessing.get_context("spawn")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "X.npy")
        np.save(path, X)
        for name, fit in (("segment", fit_ours), ("oneDAL", fit_onedal), ("scikit-learn", fit_sklearn)):
            answer = context.Queue()
            child = context.Process(target=_peak, args=(fit, path, start, answer))
            child.start()
            rows.append([name, f"{answer.get():.0f}"])
            child.join()
    return table(["program", f"MB beyond the data ({X.nbytes / 2**20:.0f} MB)"], rows)


def _peak_of_large_moments(answer: Any) -> None:
    rng = np.random.default_rng(0)
    K, D = LARGE
    means = rng.normal(size=(K, D)) * 0.3
    parameters = Parameters(np.full(K, 1 / K), means, np.stack([np.eye(D)] * K))
    samples = Samples.of(rng.normal(size=(50_000, D)))
    accumulate(Samples.of(samples.X[:500, :20].copy()), _leading(parameters, 2, 20))
    _ = parameters.factors
    reset_peak_memory()
    before = peak_memory()
    accumulate(samples, parameters)
    answer.put(peak_memory() - before)


def _leading(parameters: Parameters, K: int, D: int) -> Parameters:
    return Parameters(np.full(K, 1 / K), parameters.means[:K, :D], parameters.covariances[:K, :D, :D])


def large_moments() -> str:
    """Peak resident memory of one E-step beyond data and parameters, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    child = context.Process(target=_peak_of_large_moments, args=(answer,))
    child.start()
    found = answer.get()
    child.join()
    K, D = LARGE
    return table(
        ["components", "features", "MB of the moments", "MB beyond the data"],
        [[K, D, f"{K * D * D * 8 / 2**20:.0f}", f"{found:.0f}"]],
    )


def lab_samples(name: str) -> Samples:
    from skimage.color import rgb2lab

    colors, counts = np.unique(photo_colors(name), axis=0, return_counts=True)
    return Samples.of(rgb2lab(colors[None] / 255.0)[0], counts)


def four_gaussians(rng: np.random.Generator) -> Samples:
    from segment.lab.four_gaussians import draw_plane

    return Samples.of(draw_plane(rng)[0])


def hits() -> str:
    """How many of 20 seeds end within 1e-3 nats a sample of the best optimum that any of them found."""
    problems = {f"{name}, Lab, K = 5": (lab_samples(name), 5, 3e-3) for name in PHOTOS}
    problems["four Gaussians, K = 4"] = four_gaussians(np.random.default_rng(0)), 4, 1e-6
    rows = []
    for name, (samples, n_components, relative_reg) in problems.items():
        cells: list[Any] = [name]
        found = {
            init: [_end(samples, n_components, relative_reg, init, seed) for seed in range(SEEDS)]
            for init in ("short_runs", "kmeans", "random")
        }
        best = max(bound for ends in found.values() for bound, _ in ends)
        for ends in found.values():
            share = np.mean([bound > best - 1e-3 for bound, _ in ends])
            cells.append(f"{share:.0%} ({statistics.median(seconds for _, seconds in ends):.2f} s)")
        print(*cells, flush=True)
        rows.append(cells)
    return table(["problem", "short runs (default)", "one k-means start", "one random start"], rows)


def _end(
    samples: Samples, n_components: int, relative_reg: float, init: str, seed: int
) -> tuple[float, float]:
    start = time.perf_counter()
    result = fit_mixture(samples, n_components, init=init, random_state=seed, relative_reg=relative_reg)
    return result.lower_bound, time.perf_counter() - start


class Recording(MixtureModel):
    """A Gaussian mixture that notes the bound of every E-step, rejected ones included."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.bounds: list[float] = []

    def expect(self, parameters: Parameters) -> Expectation:
        found = super().expect(parameters)
        self.bounds.append(found.objective / self.total_weight)
        return found


def _two_normals(distance: float) -> Samples:
    rng = np.random.default_rng(0)
    return Samples.of(np.concatenate([rng.normal(0, 1, 6000), rng.normal(distance, 1.2, 4000)])[:, None])


def acceleration() -> str:
    """E-steps until the bound is within 1e-6 nats of the optimum, plain and accelerated, from one start."""
    problems: dict[str, tuple[Samples, int, float]] = {
        "two normals 1.5 sd apart": (_two_normals(1.5), 2, 1e-6),
        "two normals 3 sd apart": (_two_normals(3.0), 2, 1e-6),
        "two normals 8 sd apart": (_two_normals(8.0), 2, 1e-6),
        "four Gaussians, K = 4": (four_gaussians(np.random.default_rng(0)), 4, 1e-6),
        "four Gaussians, K = 8": (four_gaussians(np.random.default_rng(0)), 8, 1e-3),
    }
    problems |= {f"{name}, Lab, K = 5": (lab_samples(name), 5, 3e-3) for name in PHOTOS}
    rows = []
    for name, (samples, n_components, relative_reg) in problems.items():
        family = Gaussian.of(samples, relative_reg=relative_reg)
        start = initial_parameters(samples, n_components, method="kmeans", family=family)
        traces, ends = {}, {}
        for how in (None, "squarem"):
            model = Recording(samples, family, n_components)
            stopping = SmallGain(1e-11, 20_000)
            ends[how] = run_em(model, start, stopping=stopping, acceleration=how).lower_bound
            traces[how] = np.array(model.bounds)
        goal = min(ends.values()) - 1e-6
        plain, squarem = (int(np.argmax(traces[how] >= goal)) + 1 for how in (None, "squarem"))
        gap = ends["squarem"] - ends[None]
        rows.append([name, plain, squarem, f"{plain / squarem:.2f}x", f"{gap:+.1e}"])
        print(*rows[-1], flush=True)
    header = ["problem", "plain EM", "SQUAREM", "fewer", "accelerated less plain end, nats a sample"]
    return table(header, rows)


def main() -> int:
    X = pixels()
    how = "full, float64, all cores"
    parts = [f"### One iteration: {len(X)} x 3 pixels, K = 8, {how}", iterations(X, 8)]
    parts += [f"### One iteration: {len(X[::20])} of these pixels", iterations(X[::20].copy(), 8)]
    parts += ["### Memory of that fit", memory(X, 8)]
    parts += ["### Memory of an E-step with large moments, 50 000 rows, two threads", large_moments()]
    scores = digits()
    if scores is not None:
        parts += [
            "### One iteration: 70 000 x 50 digits, K = 10, full, float64, two threads",
            iterations(scores, 10),
        ]
    parts += [
        f"### How many of {SEEDS} seeds reach the best optimum (median seconds of start and fit)",
        hits(),
    ]
    parts += ["### Acceleration: E-steps to within 1e-6 nats a sample of the optimum", acceleration()]
    write_section("em", "EM", "\n\n".join(parts))
    return 0
