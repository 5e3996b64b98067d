"""Background subtraction against OpenCV's mixtures: F on real and rendered clips, time, memory, exactness."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from page import in_turn, ratio, table, write_section
from PIL import Image

from segment.datasets import data_folder
from segment.video import Background
from segment.video.rendered import HEIGHT, HISTORY, KINDS, LEAVES, QUIET, STOPS, WIDTH, Clip
from segment.video.scores import Score

CLIPS = ("highway", "traffic")
SIZES = ((320, 240), (1280, 720), (1920, 1080))
THREADS, MEDIAN, FPS = 2, 9, 25
ROUNDS, BLOCK = 9, 8
LONG, PART = 10_000, 1000

Method = Callable[[np.ndarray], np.ndarray]
Start = Callable[[tuple[int, int], int], Method]


def ours(shape: tuple[int, int], history: int) -> Method:
    return Background(shape, history, n_jobs=THREADS).apply


def opencv(name: str, threshold: float, median: int = 0) -> Start:
    """OpenCV's default settings, to which the order of the colors makes no difference."""

    def start(shape: tuple[int, int], history: int) -> Method:
        subtractor = getattr(cv2, f"createBackgroundSubtractor{name}")(history, threshold, True)

        def apply(frame: np.ndarray) -> np.ndarray:
            mask = subtractor.apply(frame)
            return cv2.medianBlur((mask == 255).astype(np.uint8) * 255, median) if median else mask

        return apply

    return start


METHODS: dict[str, Start] = {
    "segment": ours,
    "MOG2": opencv("MOG2", 16),
    f"MOG2, median {MEDIAN}": opencv("MOG2", 16, MEDIAN),
    "KNN": opencv("KNN", 400),
    f"KNN, median {MEDIAN}": opencv("KNN", 400, MEDIAN),
}


def real_frames(clip: str) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Frames and truth; frames that are not scored have a truth of 85 or 170 throughout."""
    folder = data_folder() / "video" / clip
    pairs = zip(sorted((folder / "input").iterdir()), sorted((folder / "groundtruth").iterdir()), strict=True)
    for frame, truth in pairs:
        yield np.asarray(Image.open(frame).convert("RGB")), np.asarray(Image.open(truth)), True


def rendered_frames(kind: str) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    for number, frame in enumerate(Clip(kind)):
        yield frame.pixels, frame.truth, number >= QUIET


def scores(frames: Iterator[tuple[np.ndarray, np.ndarray, bool]], history: int = 500) -> list[Score]:
    found = [Score()] * len(METHODS)
    methods: list[Method] = []
    for pixels, truth, scored in frames:
        methods = methods or [start(truth.shape, history) for start in METHODS.values()]
        for i, method in enumerate(methods):
            mask = method(pixels)
            found[i] = found[i].plus(Score.of(mask, truth)) if scored else found[i]
    return found


def quality() -> str:
    rows, sums = [], np.zeros(len(METHODS))
    for clip in CLIPS:
        if not (data_folder() / "video" / clip).is_dir():
            return f"The clips {', '.join(CLIPS)} are not in `video/` of the folder of data sets: no figures."
        found = scores(real_frames(clip))
        sums += [score.f for score in found]
        rows.append([clip, *(f"{s.f:.3f} ({s.precision:.2f}, {s.recall:.2f})" for s in found)])
        print(*rows[-1], flush=True)
    rows.append(["mean", *(f"{value:.3f}" for value in sums / len(CLIPS))])
    return table(["clip", *METHODS], rows)


def rendered() -> str:
    rows = []
    for kind, about in KINDS.items():
        found = [score.f for score in scores(rendered_frames(kind), HISTORY if kind == "stop" else 500)]
        best = "yes" if found[0] > max(found[1:]) else "no"
        rows.append([f"{kind}: {about.about}", *(f"{f:.3f}" for f in found), best])
        print(*rows[-1], flush=True)
    return table(["clip", *METHODS, "best?"], rows)


def stopping() -> str:
    clip, rows = Clip("stop"), []
    center = round(clip.discs[0].column(STOPS))
    for name, start in METHODS.items():
        method = start((HEIGHT, WIDTH), HISTORY)
        moving = [bool(method(frame.pixels)[75, center] == 255) for frame in clip]
        absorbed = next((t - STOPS for t in range(STOPS, LEAVES) if not any(moving[t : t + 10])), None)
        gone = LEAVES + round(2 * clip.discs[0].radius)
        ghost = [t - gone for t in range(gone, len(moving)) if moving[t]]
        rows.append([name, absorbed or "never", f"{(ghost[-1] + 1) / FPS if ghost else 0:.2f}"])
    return table(["method", f"frames until background (asked for: {HISTORY})", "ghost, s (at most 2)"], rows)


def speed() -> str:
    first = next(iter(Clip("noise"))).pixels
    rows = []
    for size in SIZES:
        rng = np.random.default_rng(0)
        large = cv2.resize(first, size).astype(np.float32)
        frames = [moving_frame(large, t, rng) for t in range(BLOCK)]
        methods = {name: start(large.shape[:2], 500) for name, start in METHODS.items()}
        for _ in range(8):
            for method in methods.values():
                for frame in frames:
                    method(frame)

        def block(method: Method, frames: list[np.ndarray] = frames) -> float:
            time.sleep(0.02)
            method(frames[-1])
            begun = time.perf_counter()
            for frame in frames:
                method(frame)
            return (time.perf_counter() - begun) / len(frames)

        seconds = in_turn({name: partial(block, method) for name, method in methods.items()}, ROUNDS)
        told = [f"{1000 * statistics.median(s):.2f}" for s in seconds.values()]
        against = [ratio(seconds[name], seconds["segment"]) for name in (*METHODS,)[1:3]]
        rows.append([f"{size[0]} x {size[1]}", *told, *against])
        print(*rows[-1], flush=True)
    return table(["frame", *METHODS, "MOG2 / segment (>= 1)", "MOG2 with median / segment (>= 2)"], rows)


def moving_frame(scene: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
    """A frame with noise, and a block that covers 2 % of it."""
    frame = scene + rng.normal(0, 2, scene.shape)
    height, width = scene.shape[:2]
    left = width * (2 + t) // 14
    frame[height // 3 : height // 2, left : left + width // 8] += 60
    return np.clip(frame, 0, 255).astype(np.uint8)


def endurance() -> str:
    """Time and memory over many frames: those of a rendered clip, again and again."""
    frames = [frame.pixels for frame in Clip("sway", n_frames=400)]
    background, rows = Background((HEIGHT, WIDTH), n_jobs=THREADS), []
    for part in range(LONG // PART):
        begun = time.perf_counter()
        for t in range(PART):
            background.apply(frames[(part * PART + t) % len(frames)])
        taken = 1000 * (time.perf_counter() - begun) / PART
        rows.append([f"{part * PART + 1} - {(part + 1) * PART}", f"{taken:.3f}", f"{resident():.1f}"])
    return table(["frames", "ms a frame", "resident MB"], rows)


def resident() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def exactness() -> str:
    shape = (480, 640)
    rng = np.random.default_rng(0)
    scene = rng.integers(40, 200, (*shape, 3)).astype(np.float32)
    frames = [moving_frame(scene, t, rng) for t in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        saved = []
        for n in (1, 2, 3, 4):
            background = Background(shape, n_jobs=n)
            for t, frame in enumerate(frames):
                background.apply(frame)
                if t == 9 and n == 4:
                    background.save(Path(folder) / "half.npz")
                    background = Background.load(Path(folder) / "half.npz", n_jobs=2)
            background.save(Path(folder) / f"{n}.npz")
            saved.append((Path(folder) / f"{n}.npz").read_bytes())
    equal = "the same bits" if len(set(saved)) == 1 else "DIFFERENT BITS"
    return f"1, 2 and 3 threads, and 4 threads saved in the middle and gone on with 2: {equal}."


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    cv2.setNumThreads(THREADS)
    body = f"""
OpenCV {cv2.__version__} with its default settings, {THREADS} threads all. F, in brackets precision and
recall, by the rule of the change detection benchmarks: a shadow is background, what is unknown is skipped.
The settings of `segment` were chosen looking at these two clips; OpenCV's were not.

{quality()}

### Rendered clips

{WIDTH} x {HEIGHT}, exact masks (`segment.video.rendered`), F after the first {QUIET} frames.

{rendered()}

### An object that stops

It stands still for {LEAVES - STOPS} frames, and goes.

{stopping()}

### Milliseconds a frame

Interleaved blocks of {BLOCK} frames, {ROUNDS} turns; the mask with its vote.

{speed()}

### {LONG} frames

{WIDTH} x {HEIGHT}, a swaying texture.

{endurance()}

### Exactness

{exactness()}
"""
    print(write_section("video", "Video: what moves", body))
    return 0
