"""`segment video`: every output by value, every bad clip refused by name, interrupts."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from segment.cli import main
from segment.video import Background
from segment.video.rendered import Clip
from segment.video.scores import Score

N = 170


@pytest.fixture(scope="module")
def frames():
    return list(Clip("shadow", n_frames=N))


@pytest.fixture(scope="module")
def folder(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    for number, frame in enumerate(frames, start=1):
        # Not padded with zeros: frame 10 comes after frame 9.
        Image.fromarray(frame.pixels).save(folder / f"frame{number}.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, ["video", *map(str, arguments)])


def write_clip(path, images, codec="libx264", rate=25, form="yuv420p", times=None, **options):
    av = pytest.importorskip("av")
    from fractions import Fraction

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = form
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = round(1000 * (times[number] if times else number / rate))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_clip(path, form="rgb24"):
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [(float(f.time), f.to_ndarray(format=form)) for f in container.decode(video=0)]


@pytest.mark.parametrize("source", ["folder", "glob"])
def test_images_give_every_output(source, folder, frames, tmp_path):
    pytest.importorskip("av")
    clip = folder if source == "folder" else folder / "frame*.png"
    result = run(clip, "-o", tmp_path, "--save", "all", "--history", 200, "--min-area", 1, "--json", "-q")
    assert result.exit_code == 0, result.output
    masks = [np.asarray(Image.open(tmp_path / "masks" / f"{i:06d}.png")) for i in range(1, N + 1)]
    background = Background((120, 160), 200)
    for mask, frame in zip(masks, frames, strict=True):
        np.testing.assert_array_equal(mask, background.apply(frame.pixels))
    score = Score()
    for mask, frame in zip(masks[120:], frames[120:], strict=True):
        score = score.plus(Score.of(mask, frame.truth))
    assert score.f > 0.95
    np.testing.assert_array_equal(masks, [m for _, m in read_clip(tmp_path / "masks.mkv", "gray")])
    stays = np.asarray(Image.open(tmp_path / "background.png")).astype(float)
    assert np.abs(stays - Clip("shadow").scene).mean() < 1.5
    background.save(tmp_path / "same.npz")
    assert (tmp_path / "same.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()
    overlay = read_clip(tmp_path / "overlay.mp4")
    assert len(overlay) == N
    assert overlay[-1][0] == pytest.approx((N - 1) / 25, abs=1e-3)
    facts = json.loads(result.stdout)
    assert facts == json.loads((tmp_path / "summary.json").read_text())
    moving = np.mean([(mask == 255).mean() for mask in masks])
    assert facts["moving"] == pytest.approx(moving)
    assert (facts["ended"], facts["n_frames"], facts["width"], facts["height"]) == ("complete", N, 160, 120)
    page = (tmp_path / "index.html").read_text()
    assert page.count("<img") >= 8
    assert "http" not in page.replace("http-equiv", "")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_areas_follow_a_thing_by_one_number(folder, frames, tmp_path):
    assert run(folder, "-o", tmp_path, "--save", "areas", "-q").exit_code == 0
    rows = list(csv.DictReader((tmp_path / "areas.csv").open()))
    disc = Clip("shadow", n_frames=N).discs[0]
    near = []
    for row in rows:
        t = int(row["frame"]) - 1
        column, right = disc.column(t), float(row["center_x"])
        if abs(right - column) < 3 and abs(float(row["center_y"]) - disc.row) < 3 and 20 < column < 140:
            near.append(row)
    assert len(near) > 15
    assert len({row["id"] for row in near}) == 1
    area = np.median([int(row["area"]) for row in near])
    assert area == pytest.approx(np.pi * disc.radius**2, rel=0.15)
    assert float(near[0]["time"]) == pytest.approx((int(near[0]["frame"]) - 1) / 25, abs=1e-3)


def test_a_model_goes_on_where_it_was_saved(folder, tmp_path):
    half = tmp_path / "half"
    half.mkdir()
    paths = sorted(folder.iterdir(), key=lambda p: int(p.stem[5:]))
    for path in paths[:80]:
        os.link(path, half / path.name)
    rest = tmp_path / "rest"
    rest.mkdir()
    for path in paths[80:]:
        os.link(path, rest / path.name)
    kinds = ("--save", "masks,model", "-q")
    assert run(folder, "-o", tmp_path / "a", *kinds).exit_code == 0
    assert run(half, "-o", tmp_path / "b", *kinds).exit_code == 0
    assert run(rest, "-o", tmp_path / "c", "--model", tmp_path / "b" / "model.npz", *kinds).exit_code == 0
    assert (tmp_path / "a" / "model.npz").read_bytes() == (tmp_path / "c" / "model.npz").read_bytes()


def test_warm_up_region_and_rate(folder, tmp_path):
    region = np.zeros((120, 160), np.uint8)
    region[:, :80] = 255
    Image.fromarray(region).save(tmp_path / "region.png")
    out = tmp_path / "out"
    options = (
        "--warm-up",
        120,
        "--region",
        tmp_path / "region.png",
        "--rate",
        0,
        "--save",
        "masks,model",
        "-q",
    )
    assert run(folder, "-o", out, *options).exit_code == 0
    masks = np.array([np.asarray(Image.open(out / "masks" / f"{i:06d}.png")) for i in range(1, N + 1)])
    assert not masks[:120].any()
    assert masks[120:, :, :80].any()
    assert not masks[:, :, 80:].any()
    assert Background.load(out / "model.npz").n_frames == 120


def test_a_video_is_read_with_its_own_times(frames, tmp_path):
    images = [frame.pixels for frame in frames[100:150]]
    times = [0.04 * i + (0.5 if i > 20 else 0) for i in range(50)]
    write_clip(tmp_path / "clip.mkv", images, times=times, crf="10")
    result = run(
        tmp_path / "clip.mkv", "-o", tmp_path / "out", "--save", "overlay,areas,masks", "-q", "--json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_frames"] == 50
    written = [time for time, _ in read_clip(tmp_path / "out" / "overlay.mp4")]
    np.testing.assert_allclose(written, times, atol=2e-3)


def test_odd_sizes_ten_bits_and_alpha(frames, tmp_path):
    odd = [frame.pixels[:119, :159] for frame in frames[:12]]
    write_clip(tmp_path / "odd.mkv", odd, "ffv1", form="bgr0")
    assert run(tmp_path / "odd.mkv", "-o", tmp_path / "a", "-q").exit_code == 0
    assert read_clip(tmp_path / "a" / "overlay.mp4")[0][1].shape == (120, 160, 3)
    write_clip(tmp_path / "deep.mkv", odd, "ffv1", form="yuv444p10le")
    assert run(tmp_path / "deep.mkv", "-o", tmp_path / "b", "--save", "background", "-q").exit_code == 0
    stays = np.asarray(Image.open(tmp_path / "b" / "background.png")).astype(float)
    assert np.abs(stays - Clip("shadow").scene[:119, :159]).mean() < 3
    (tmp_path / "alpha").mkdir()
    for i in range(3):
        Image.fromarray(np.dstack([odd[i], np.full(odd[i].shape[:2], 90, np.uint8)])).save(
            tmp_path / f"alpha/{i}.png"
        )
    assert run(tmp_path / "alpha", "-o", tmp_path / "c", "--save", "background", "-q").exit_code == 0
    stays = np.asarray(Image.open(tmp_path / "c" / "background.png")).astype(float)
    assert np.abs(stays - Clip("shadow").scene[:119, :159]).mean() < 3


def test_a_turned_video_is_set_upright(frames, tmp_path):
    write_clip(tmp_path / "clip.mp4", [frame.pixels for frame in frames[:5]], crf="5")
    data = (tmp_path / "clip.mp4").read_bytes()
    # The matrix of the track header: the identity becomes a quarter turn.
    unit = (1 << 16).to_bytes(4, "big")
    zero, end = bytes(4), (1 << 30).to_bytes(4, "big")
    identity = unit + zero * 3 + unit + zero * 3 + end
    turned = zero + unit + zero + (-(1 << 16)).to_bytes(4, "big", signed=True) + zero * 4 + end
    at = data.index(identity, data.index(b"tkhd"))
    (tmp_path / "turned.mp4").write_bytes(data[:at] + turned + data[at + 36 :])
    assert run(tmp_path / "turned.mp4", "-o", tmp_path / "out", "--save", "background", "-q").exit_code == 0
    stays = np.asarray(Image.open(tmp_path / "out" / "background.png")).astype(float)
    # A player turns it clockwise.
    assert np.abs(stays - np.rot90(Clip("shadow").scene, -1)).mean() < 4


def test_16_bit_images_are_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 30 * 40).reshape(30, 40).astype(np.uint16)
    (tmp_path / "in").mkdir()
    Image.fromarray(deep).save(tmp_path / "in" / "1.png")
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--save", "background", "-q").exit_code == 0
    stays = np.asarray(Image.open(tmp_path / "out" / "background.png"))[..., 0]
    np.testing.assert_array_equal(stays, deep >> 8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"no video " * 99), "cannot be opened"),
        (lambda path: path.mkdir(), "no image there"),
    ],
)
def test_what_is_no_clip_is_refused_by_name(make, said, tmp_path):
    pytest.importorskip("av")
    make(tmp_path / "clip.mp4")
    result = run(tmp_path / "clip.mp4", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "clip.mp4" in result.stderr
    assert not (tmp_path / "out").exists()


def test_sound_alone_is_refused(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    result = run(tmp_path / "sound.wav", "-o", tmp_path / "out")
    assert (result.exit_code, "no video in it" in result.stderr) == (1, True)


def test_a_frame_of_another_size_ends_the_clip_and_what_came_before_is_kept(frames, tmp_path):
    for i in range(8):
        image = frames[i].pixels if i < 5 else frames[i].pixels[:100]
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "in" / f"{i}.png")
    result = run(tmp_path / "in", "-o", tmp_path / "out", "--save", "masks,areas,overlay")
    assert result.exit_code == 1
    assert "frame 6 has 160 x 100 pixels, those before 160 x 120" in result.stderr
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 5
    assert len(read_clip(tmp_path / "out" / "overlay.mp4")) == 5
    assert "frame 6" in json.loads((tmp_path / "out" / "summary.json").read_text())["ended"]


def test_a_damaged_image_and_a_wrong_region_are_named(frames, folder, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.png").write_bytes(b"nothing")
    result = run(tmp_path / "in", "-o", tmp_path / "out")
    assert (result.exit_code, "1.png" in result.stderr) == (1, True)
    for name, pixels, said in (
        ("small", np.ones((5, 5)), "5 x 5"),
        ("black", np.zeros((120, 160)), "all black"),
    ):
        Image.fromarray((255 * pixels).astype(np.uint8)).save(tmp_path / f"{name}.png")
        result = run(folder, "-o", tmp_path / "out", "--region", tmp_path / f"{name}.png")
        assert result.exit_code == 1
        assert said in result.stderr
        assert f"{name}.png" in result.stderr


def test_a_camera_that_is_not_there(tmp_path):
    pytest.importorskip("av")
    for name, said in (("camera:97", "is it connected"), ("camera:front", "try camera:0")):
        result = run(name, "-o", tmp_path / "out")
        assert result.exit_code == 1
        assert said in result.stderr


def test_without_pyav_images_work_and_a_video_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda *name: None if name == ("av",) else found(*name))
    result = run(folder, "-o", tmp_path / "out", "--history", 50)
    assert result.exit_code == 0, result.output
    assert "overlay.mp4 is left out" in result.stderr
    assert (tmp_path / "out" / "background.png").exists()
    (tmp_path / "clip.mp4").write_bytes(b"something")
    result = run(tmp_path / "clip.mp4", "-o", tmp_path / "other", "--save", "masks")
    assert result.exit_code == 1
    assert "pip install 'segment-em[video]'" in result.stderr


def test_outputs_are_not_overwritten_unasked(folder, tmp_path):
    assert run(folder, "-o", tmp_path, "--save", "areas", "-q").exit_code == 0
    result = run(folder, "-o", tmp_path, "--save", "areas", "-q")
    assert (result.exit_code, "--force" in result.stderr) == (1, True)
    assert run(folder, "-o", tmp_path, "--save", "areas", "-q", "--force").exit_code == 0


@pytest.mark.parametrize("wrong", [("--window", 4), ("--save", "film"), ("--history", 1), ("--rate", 2)])
def test_wrong_options_are_usage_errors(wrong, tmp_path):
    assert run("clip.mp4", "-o", tmp_path, *wrong).exit_code == 2


def test_an_interrupt_keeps_what_is_written_closed_properly(folder, tmp_path):
    pytest.importorskip("av")
    many = tmp_path / "many"
    many.mkdir()
    paths = sorted(folder.iterdir())
    for i in range(6000):
        os.symlink(paths[i % len(paths)], many / f"{i}.png")
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "segment",
        "video",
        str(many),
        "-o",
        str(out),
        "--save",
        "masks,overlay,areas",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as child:
        begun = time.monotonic()
        while not (out / "masks" / "000040.png").exists() and time.monotonic() - begun < 100:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=100)
    assert child.returncode == 130, said
    assert b"interrupted" in said
    n = json.loads((out / "summary.json").read_text())["n_frames"]
    assert 20 <= n < 6000
    assert len(read_clip(out / "overlay.mp4")) == n
    assert json.loads((out / "summary.json").read_text())["ended"] == "interrupted"
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
