"""The consensus of digits: views, the candidate taken, confidence, the number of clusters, models."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from toys import draw_bars

from segment.cli import main
from segment.digits import DigitSettings, cluster_digits, load_digits, load_model
from segment.digits.blocks import shares_of_blocks
from segment.digits.features import fit_features, measure
from segment.digits.views import VIEWS, fit_view
from segment.errors import DataError, ModelError


@pytest.fixture(autouse=True)
def no_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("segment.digits.cache.cache_folder", lambda: tmp_path / "features")


@pytest.fixture(scope="module")
def bars():
    return draw_bars()


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    """500 of the 8 x 8 digits and their copies, in four views."""
    digits = load_digits("digits").limited(500)
    twice = digits.rows(np.sort(np.r_[np.arange(500), np.arange(0, 500, 10)]))
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("features")
        patch.setattr("segment.digits.cache.cache_folder", lambda: folder)
        return cluster_digits(twice, DigitSettings(refine="consensus", n_features=40, n_init=6))


def test_ink_as_it_stands_has_no_slant():
    image = np.zeros((1, 28, 28), np.uint8)
    for row in range(4, 24):
        image[0, row, 4 + row // 2 : 8 + row // 2] = 255
    upright, slanted = measure(image), measure(image, is_slanted=True)
    assert upright.slants[0] == pytest.approx(0.5, abs=0.05)
    assert slanted.slants[0] == 0
    assert slanted.spreads[0, 1] > 1.5 * upright.spreads[0, 1]
    np.testing.assert_array_equal(slanted.centers, upright.centers)


def test_views_differ_and_the_cache_gives_them_back(tmp_path):
    from segment.digits.cache import cached_view

    images = load_digits("digits").limited(60).images.repeat(2, axis=1).repeat(2, axis=2)
    images = np.pad(images, [(0, 0), (6, 6), (6, 6)])
    found = {kind: fit_view(images, kind, 8, n_jobs=1)[1] for kind in VIEWS}
    assert len({rows.tobytes() for rows in found.values()}) == 4
    first, again = (cached_view(images, VIEWS[2], 8, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(first[1], found[VIEWS[2]])
    for one, other in zip(first[1:], again[1:], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first[0].transform(images), again[0].transform(images))
    known = fit_features(images, VIEWS[1], 8)
    np.testing.assert_array_equal(fit_view(images, VIEWS[1], 8, known=known)[1], found[VIEWS[1]])


def test_the_candidate_of_most_information_is_taken(clustered):
    found = clustered.consensus
    assert "mixture" in found.candidates
    assert found.candidates[found.taken] >= max(found.candidates.values()) - found.spread
    assert clustered.scores().accuracy > 0.9
    assert clustered.scores().accuracy > clustered.mixture_scores().accuracy
    assert clustered.certainty_is == "share of members that agree"
    np.testing.assert_array_equal(clustered.certainty, found.confidence)


def test_copies_of_a_digit_are_labeled_alike(clustered):
    images = clustered.digits.images.reshape(550, -1)
    _, which = np.unique(images, axis=0, return_inverse=True)
    pairs = [np.flatnonzero(which == k) for k in np.flatnonzero(np.bincount(which) > 1)]
    assert len(pairs) >= 50
    for pair in pairs:
        assert len(set(clustered.labels[pair])) == 1
        assert len(set(clustered.certainty[pair])) == 1


def test_sure_labels_are_right_more_often(clustered):
    right = clustered.model.mapping[clustered.labels] == clustered.digits.labels
    order = np.argsort(-clustered.certainty, kind="stable")
    assert right[order[:275]].mean() >= right[order[275:]].mean()


def test_new_digits_are_labeled_by_blocks(clustered, tmp_path):
    model = clustered.model
    clusters, shares = model.predict(clustered.digits.images[:200])
    assert np.mean(clusters == clustered.labels[:200]) > 0.97
    assert np.all((shares > 0.1) & (shares <= 1 + 1e-9))
    whole = load_digits("digits")
    new = np.setdiff1d(np.arange(1797), np.arange(500) * 1797 // 500)[::5]
    assert np.mean(model.mapping[model.predict(whole.images[new])[0]] == whole.labels[new]) > 0.85
    model.save(tmp_path / "model.npz")
    again = load_model(tmp_path / "model.npz")
    some = whole.images[:40]
    for found, expected in zip(again.recognize(some), model.recognize(some), strict=True):
        np.testing.assert_array_equal(found, expected)
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


DAMAGES = {
    "blocks_owners": [np.full(7, 99), np.zeros(3, int)],
    "blocks_centers": [np.zeros((4, 2), np.float32), np.full((1, 1), np.nan, np.float32)],
    "blocks_offset": [np.zeros(2, np.float32)],
    "view0_kind": [np.array("edges"), np.array("pixels")],
    "view3_mean": [np.zeros(5, np.float32)],
    "view1_typical_spread": [np.zeros(2)],
    "n_views": [np.array(9), np.array(1.5)],
}


@pytest.mark.parametrize(("name", "i"), [(name, i) for name, bad in DAMAGES.items() for i in range(len(bad))])
def test_damaged_blocks_are_refused(clustered, tmp_path, name, i):
    clustered.model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as stored:
        np.savez(tmp_path / "bad.npz", **(dict(stored) | {name: DAMAGES[name][i]}))
    with pytest.raises(ModelError, match=r"bad\.npz"):
        load_model(tmp_path / "bad.npz")


def test_shares_of_blocks_by_hand():
    centers, owners = np.array([[0.0], [10], [0]], np.float32), np.array([0, 1, 1])
    shares = shares_of_blocks(np.array([[0.0], [10]], np.float32), centers, owners, 2)
    far = np.exp(-100 / 20)
    assert shares[0] == pytest.approx([1 / (2 + far), (1 + far) / (2 + far)])
    assert shares.sum(axis=1) == pytest.approx([1, 1])


def test_any_number_of_threads_gives_the_same(bars):
    settings = DigitSettings(features="deskew", n_features=8, n_clusters=3, n_init=4, refine="consensus")
    one, three = (cluster_digits(bars, settings, split="train-test", n_jobs=n) for n in (1, 3))
    assert one.labels.tobytes() == three.labels.tobytes()
    assert one.consensus.candidates == three.consensus.candidates
    assert one.test_certainty.tobytes() == three.test_certainty.tobytes()
    assert one.scores().accuracy > 0.97
    assert one.test_scores().accuracy > 0.97


def test_one_cluster(bars):
    settings = DigitSettings(features="pixels", n_features=5, n_clusters=1, n_init=2, refine="consensus")
    assert not cluster_digits(bars, settings).labels.any()


@pytest.mark.parametrize(
    "options",
    [
        {"n_clusters": "many"},
        {"n_clusters": "auto", "refine": "graph"},
        {"n_clusters": "auto", "n_components": 9},
    ],
)
def test_a_number_that_cannot_be_chosen_is_refused(options):
    with pytest.raises(DataError, match=r"auto|chosen by the consensus"):
        DigitSettings(**{"refine": "consensus", **options})


def test_the_command_finds_the_number_and_says_what_it_took(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars.images, labels=bars.labels)
    options = ["--features", "pixels", "--pca", "8", "--n-init", "4", "--refine", "consensus", "-k", "auto"]
    result = CliRunner().invoke(
        main,
        ["digits", "--data", str(tmp_path / "bars.npz"), *options, "-o", str(tmp_path / "out"), "--json"],
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    number = summary["number_of_clusters"]
    assert number["chosen"] == len(summary["cluster_sizes"]) == 3
    assert number["counts"] == list(range(2, 21))
    assert (tmp_path / "out" / "number_of_clusters.png").exists()
    assert (tmp_path / "out" / "wrong.png").exists() == (summary["accuracy"] < 1)
    assert "3 clusters: so say" in result.stderr
    assert summary["graph"]["neighbors"] == "exact"
    assert "approximately" not in result.stderr
    assert f"taken: {summary['consensus']['taken']}" in result.stderr
    found = summary["consensus"]
    information = found["information"]
    assert information[found["taken"]] >= max(information.values()) - found["spread"]
    with open(tmp_path / "out" / "assignments.csv", newline="") as stream:
        sure = [float(row["certainty"]) for row in csv.DictReader(stream)]
    assert np.mean(sure) == pytest.approx(summary["consensus"]["mean_confidence"], abs=1e-3)


def test_it_is_said_where_neighbors_are_approximate(bars, monkeypatch, capsys):
    from segment.cli.digits import _say_choices
    from segment.digits.write import summarize

    settings = DigitSettings(features="pixels", n_features=5, n_clusters=3, n_init=2, refine="graph")
    clustering = cluster_digits(bars, settings)
    monkeypatch.setattr("segment.consensus.neighbors.MOST_EXACT", 100)
    monkeypatch.setattr("segment.consensus.neighbors.find_spec", lambda name: name)
    summary = summarize(clustering, settings, split="all", seconds={})
    assert summary["graph"]["neighbors"] == "approximate"
    _say_choices(summary)
    assert "approximately" in capsys.readouterr().err
