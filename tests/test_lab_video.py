"""The experiment on backgrounds: its checks, what it keeps, what the replay draws."""

import numpy as np
import pytest
from toys import outcome

from segment.lab.video_background import EVERY, HISTORY, SingleGaussian, opponent_colors
from segment.report.replays import replay_video_background
from segment.video.rendered import N_FRAMES


@pytest.fixture(scope="module", name="outcome")
def _outcome():
    return outcome("video-background")


def test_mixtures_tell_a_swaying_texture_from_what_moves(outcome):
    assert outcome.passed
    rows = {row[0]: row[1:] for row in outcome.tables[0].rows}
    assert rows["mixtures with a vote"][0] > rows["one Gaussian"][0] + 0.1
    assert len(outcome.mixtures) == N_FRAMES // EVERY
    assert max(len(mixture) for mixture in outcome.mixtures) > 1
    for mixture in outcome.mixtures:
        assert mixture[:, 0].sum() == pytest.approx(1, abs=0.02)
        assert (np.diff(mixture[:, 0]) <= 0).all()


def test_the_replay_has_an_ellipse_for_every_component_and_color(outcome):
    replay = replay_video_background(outcome)
    assert len(replay["points"]) == len(replay["panels"][0]["steps"][0]["shares"])
    for step, mixture in zip(replay["panels"][0]["steps"], outcome.mixtures, strict=True):
        assert len(step["ellipses"]) == len(replay["colors"])
        assert sum(ellipse[2] > 0 for ellipse in step["ellipses"]) == len(mixture)
        assert all(len(shares) == len(replay["colors"]) for shares in step["shares"])


def test_a_single_gaussian_is_the_running_mean():
    rng = np.random.default_rng(0)
    model = SingleGaussian(HISTORY)
    frames = rng.integers(90, 110, (40, 3, 4, 3), dtype=np.uint8)
    masks = [model.apply(frame) for frame in frames]
    assert not masks[0].any()
    assert model.mean == pytest.approx(opponent_colors(frames).mean(axis=0), abs=4)
    assert (model.apply(np.full((3, 4, 3), 250, np.uint8)) == 255).all()
