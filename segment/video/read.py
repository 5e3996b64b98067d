"""Frames from video files, image sequences and cameras, one at a time."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segment.errors import SegmentError, VideoError

IMAGES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"})
CAMERA = "camera:"
INSTALL = "pip install 'segment-em[video]'"

# How the systems name their cameras: format, and device by number.
_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}"), "win32": ("vfwcap", "{}")}


class VideoFrame(NamedTuple):
    """A frame: its number from 1, its time in seconds, its pixels (H, W, 3) uint8, sRGB."""

    number: int
    time: float
    pixels: np.ndarray


@dataclass(frozen=True)
class Video:
    """A clip that can be read once, or a camera.

    Attributes
    ----------
    name : str
        As it was given.
    rate : float
        Frames a second; of a file with a variable rate the average.
    n_frames : int or None
        As far as it is known.
    frames : iterator of VideoFrame
        Reads as it goes; raises VideoError where the clip is broken or a frame has another size.
    """

    name: str
    rate: float
    n_frames: int | None
    frames: Iterator[VideoFrame]


def import_av(purpose: str) -> Any:
    """Import PyAV, or say how to install it."""
    try:
        import av
    except ImportError as error:
        raise VideoError(f"{purpose} needs PyAV, which is not installed; try: {INSTALL}") from error
    return av


def open_video(source: str, frame_rate: float = 25.0) -> Video:
    """Open a clip.

    Parameters
    ----------
    source : str
        A video file, a folder of images, a glob of images, or "camera:0".
    frame_rate : float
        Frames a second of an image sequence.

    Returns
    -------
    Video

    Raises
    ------
    VideoError
        If there is no such clip, it is empty or damaged, or what reads it is not installed.
    """
    if source.startswith(CAMERA):
        return _open_camera(source)
    path = Path(source)
    if path.is_dir():
        return _open_images(source, [p for p in path.iterdir() if p.suffix.lower() in IMAGES], frame_rate)
    if not path.exists() and glob.has_magic(source):
        return _open_images(source, [Path(p) for p in glob.glob(source)], frame_rate)
    if not path.exists():
        raise VideoError(
            f"{source}: no such file or folder; give a video, a folder, a quoted glob or camera:0"
        )
    if path.stat().st_size == 0:
        raise VideoError(f"{source}: the file is empty; copy or record it again")
    if path.suffix.lower() in IMAGES:
        return _open_images(source, [path], frame_rate)
    return _open_file(source)


def _in_order(path: Path) -> list[tuple[int, int, str]]:
    """Key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _open_images(source: str, paths: list[Path], frame_rate: float) -> Video:
    if not paths:
        raise VideoError(f"{source}: no image there; frames may be {', '.join(sorted(IMAGES))}")
    paths = sorted(paths, key=_in_order)

    def frames() -> Iterator[VideoFrame]:
        for number, path in enumerate(paths, start=1):
            yield VideoFrame(number, (number - 1) / frame_rate, _read_image(path))

    return Video(source, frame_rate, len(paths), _of_one_size(source, frames()))


def _read_image(path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                # 16 bits a pixel; Pillow's own conversion would clip them.
                gray = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(gray[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: not an image that can be read ({error}); take it out") from error


def _of_one_size(source: str, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Pass frames on; refuse one of another size than the first."""
    first = None
    for frame in frames:
        shape = frame.pixels.shape[:2]
        first = first or shape
        if shape != first:
            raise VideoError(
                f"{source}: frame {frame.number} has {shape[1]} x {shape[0]} pixels, those before "
                f"{first[1]} x {first[0]}; all frames must have one size: cut the clip there or scale it"
            )
        yield frame
    if first is None:
        raise VideoError(f"{source}: there is no frame in it; record or convert it again")


def _open_camera(source: str) -> Video:
    av = import_av(source)
    number = source.removeprefix(CAMERA)
    system = next((name for name in _CAMERAS if sys.platform.startswith(name)), "linux")
    form, device = _CAMERAS[system]
    if not number.isdigit():
        raise VideoError(f"{source}: cameras have numbers; try camera:0")
    return _open_container(av, source, device.format(number), form)


def _open_file(source: str) -> Video:
    return _open_container(import_av(source), source, source, None)


def _open_container(av: Any, source: str, name: str, form: str | None) -> Video:
    try:
        container = av.open(name, format=form)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        advice = "is it connected, and free?" if form else "is it a video, and complete?"
        raise VideoError(f"{source}: cannot be opened ({_reason(error)}); {advice}") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{source}: there is no video in it, only sound or data; give a clip with a picture")
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    rate = float(stream.average_rate or stream.guessed_rate or 25)
    return Video(
        source, rate, _n_frames(stream, rate), _of_one_size(source, _decode(av, source, container, rate))
    )


def _n_frames(stream: Any, rate: float) -> int | None:
    if stream.frames:
        return int(stream.frames)
    if stream.duration:
        return round(float(stream.duration * stream.time_base) * rate)
    return None


def _decode(av: Any, source: str, container: Any, rate: float) -> Iterator[VideoFrame]:
    number, start = 0, None
    with container:
        try:
            for frame in container.decode(video=0):
                number += 1
                moment = frame.time if frame.time is not None else (number - 1) / rate
                start = moment if start is None else start
                yield VideoFrame(number, moment - start, _upright(frame))
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{source}: broken after frame {number} ({_reason(error)}); what came before was used"
            ) from error


def _upright(frame: Any) -> np.ndarray:
    """Return the pixels, 8 bits, without alpha, turned as a player would show them."""
    turns = round(getattr(frame, "rotation", 0) / 90)
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def read_region(path: str | os.PathLike[str], shape: tuple[int, int]) -> np.ndarray:
    """Read a mask: (H, W) bool, True where the image is not black.

    Parameters
    ----------
    path : path-like
    shape : (int, int)

    Raises
    ------
    VideoError
        If it cannot be read, is of another size, or all black.
    """
    try:
        region = _read_image(Path(path)).any(axis=-1)
    except SegmentError as error:
        raise VideoError(f"{path}: the region cannot be read; give a black and white image") from error
    if region.shape != shape:
        raise VideoError(
            f"{path}: the region has {region.shape[1]} x {region.shape[0]} pixels, the frames {shape[1]} x "
            f"{shape[0]}; draw it on a frame"
        )
    if not region.any():
        raise VideoError(f"{path}: the region is all black; paint white what is to be watched")
    return region
