"""segment_photo: what is promised of labels, palette, weights, number of components, models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import FLAG, noisy

import segment
from segment.errors import DataError, ImageError, ModelError
from segment.memory import available_memory
from segment.mixture import Parameters, Samples, assign, fit_mixture, icl
from segment.mixture.expectation import score_samples
from segment.photo import Photo, PhotoModel, apply_model, read_photo, segment_photo
from segment.photo import distinct as distinct_module
from segment.photo.colors import to_features
from segment.photo.distinct import distinct_colors
from segment.photo.selection import CELL, Selection, _judged, coarse_histogram, select_n_components, splits

IMAGE, STRIPES = noisy()
# From dark to light: blue, red, white.
DARK_TO_LIGHT = np.array([1, 2, 0])


def shared_labels(segmentation):
    """The stripes in the order of the segmentation's labels."""
    return DARK_TO_LIGHT[STRIPES]


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
@pytest.mark.parametrize("color_space", ["lab", "luv", "oklab", "rgb", "linear"])
def test_stripes_are_found_and_ordered_from_dark_to_light(covariance_type, color_space):
    found = segment_photo(
        IMAGE, n_components=3, covariance_type=covariance_type, color_space=color_space, smooth="none"
    )
    assert found.label_map.dtype == np.int32
    assert np.array_equal(found.label_map, shared_labels(found))
    assert np.abs(found.palette.astype(int) - FLAG[[2, 0, 1]]).max() <= 3
    assert np.allclose(found.shares, 1 / 3)
    assert np.allclose(found.parameters.weights, 1 / 3, atol=1e-3)


def test_the_number_of_components_is_chosen_and_the_curve_kept():
    found = segment_photo(IMAGE, smooth="none")
    assert found.parameters.n_components == 3
    assert list(found.curve) == list(range(1, 13))
    assert found.selection.best == 3


@pytest.fixture
def counted(monkeypatch):
    """Count colors by table also where the photo is small."""
    monkeypatch.setattr(distinct_module, "_FEW_PIXELS", 0)


@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("way", ["table", "sorted", "16 bits", "floats"])
def test_labels_equal_those_of_clustering_all_pixels(way, with_alpha, monkeypatch):
    """EM over distinct colors weighted by counts is EM over the pixels: label for label."""
    monkeypatch.setattr(distinct_module, "_FEW_PIXELS", 0 if way == "table" else 1 << 20)
    cat = read_photo("skimage:cat").pixels[100:200, 100:220]
    image = {"16 bits": cat.astype(np.uint16) * 257, "floats": cat / 255.0}.get(way, cat)
    alpha = np.random.default_rng(0).integers(0, 4, cat.shape[:2]) / 3 if with_alpha else None
    found = segment_photo(image, n_components=4, smooth="none", sample_weight=alpha)
    weight = np.ones(cat.shape[:2]) if alpha is None else alpha
    pixels = to_features(np.ascontiguousarray(image.reshape(-1, 3)), "lab")
    samples = Samples.of(pixels, weight.ravel())
    expected = assign(pixels, found.parameters).reshape(weight.shape)
    expected[weight == 0] = -1
    assert np.array_equal(found.label_map, expected)
    assert found.log_likelihood == pytest.approx(
        float(samples.sample_weight @ np.log(densities(pixels, found.parameters))), rel=1e-9
    )
    # And the mixture is an optimum of the pixels, too: EM over them does not move it.
    again = fit_mixture(samples, 4, relative_reg=3e-3, n_init=4)
    assert again.lower_bound <= found.result.lower_bound + 1e-3


def densities(X, parameters):
    """Mixture densities by scipy."""
    from scipy.stats import multivariate_normal

    parts = [
        w * multivariate_normal(m, c).pdf(X)
        for w, m, c in zip(parameters.weights, parameters.means, parameters.covariances, strict=True)
    ]
    return np.sum(parts, axis=0)


@pytest.mark.parametrize("few", [0, 1 << 20])
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_distinct_colors_are_counted_and_spread_back(few, height, width, n_colors, with_alpha, seed):
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (n_colors, 3)).astype(np.uint8)
    image = colors[rng.integers(0, n_colors, (height, width))]
    alpha = rng.integers(0, 3, (height, width)) / 2.0 if with_alpha else None
    if alpha is not None:
        alpha[0, 0] = 1.0
    kept = np.ones((height, width), bool) if alpha is None else alpha > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_module, "_FEW_PIXELS", few)
        found = distinct_colors(Photo(image, alpha))
    assert len(np.unique(found.values, axis=0)) == len(found.values)
    assert found.weights.sum() == pytest.approx(kept.sum() if alpha is None else alpha.sum())
    numbers = found.spread(np.arange(len(found.values), dtype=np.int32), -1)
    assert np.array_equal(numbers >= 0, kept)
    assert np.array_equal(found.values[numbers[kept]], image[kept])


def test_a_weight_equals_repetition():
    weight = np.random.default_rng(1).integers(0, 4, IMAGE.shape[:2])
    weighted = segment_photo(IMAGE, n_components=3, smooth="none", sample_weight=weight)
    repeated = np.repeat(IMAGE.reshape(-1, 3), weight.ravel(), axis=0)[None]
    plain = segment_photo(repeated, n_components=3, smooth="none")
    assert np.allclose(weighted.parameters.means, plain.parameters.means, rtol=1e-9)
    assert weighted.log_likelihood == pytest.approx(plain.log_likelihood)


@pytest.mark.parametrize("smooth", ["none", "light", "strong"])
def test_transparent_pixels_have_no_label_and_no_say(smooth):
    alpha = np.full(IMAGE.shape[:2], 255, np.uint8)
    alpha[:, :20] = 0
    image = np.dstack([IMAGE, alpha])
    image[:, :20, :3] = (0, 255, 0)
    found = segment_photo(image, n_components=2, smooth=smooth)
    assert (found.label_map[:, :20] == -1).all()
    assert np.array_equal(found.label_map[:, 20:], shared_labels(found)[:, 20:] // 2)
    assert np.allclose(found.shares, 0.5)
    assert np.abs(found.palette.astype(int) - FLAG[[2, 1]]).max() <= 3


def test_the_same_seed_gives_the_same_bits_whatever_the_threads():
    coffee = read_photo("skimage:coffee")
    one = segment_photo(coffee, n_components=4, n_jobs=1, random_state=3)
    two = segment_photo(coffee, n_components=4, n_jobs=2, random_state=3)
    assert np.array_equal(one.label_map, two.label_map)
    assert np.array_equal(one.parameters.covariances, two.parameters.covariances)
    assert one.log_likelihood == two.log_likelihood


def test_the_lower_bound_never_falls_and_responsibilities_sum_to_one():
    found = segment_photo(read_photo("skimage:cat"), n_components=5)
    assert (np.diff(found.lower_bounds) > -1e-9).all()
    soft = found.responsibilities()
    assert soft.dtype == np.float32
    assert soft.shape == (*found.label_map.shape, 5)
    assert np.allclose(soft.sum(axis=2), 1, atol=1e-5)
    assert (soft.argmax(axis=2) == segment_photo(found.photo, n_components=5, smooth="none").label_map).all()


def test_warnings_name_components_by_their_labels():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = np.random.default_rng(0).integers(100, 256, (20, 40, 3))
    found = segment_photo(image, n_components=2)
    # The black half is of one color: component 0, the darkest, has no width of its own.
    assert found.warnings == [text for text in found.warnings if text.startswith("component 0 collapsed")]
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("image", "n_colors"),
    [
        (np.full((1, 1, 3), 7, np.uint8), 1),
        (np.full((30, 40, 3), 200, np.uint8), 1),
        (np.arange(50, dtype=np.uint8)[None], 50),
        (np.arange(50, dtype=np.uint8)[:, None], 50),
        (np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8), 2),
        (np.array([[0.25, 0.75]]), 2),
    ],
)
@pytest.mark.parametrize("n_components", ["auto", 1])
def test_tiny_and_uniform_photos_are_segmented(image, n_colors, n_components):
    found = segment_photo(image, n_components=n_components, smooth="strong")
    assert found.n_distinct_colors == n_colors
    assert found.label_map.shape == image.shape[:2]
    assert found.shares.sum() == pytest.approx(1)
    assert found.parameters.n_components <= n_colors


def test_as_many_components_as_colors():
    found = segment_photo(np.arange(0, 250, 50, dtype=np.uint8)[None], n_components=5, smooth="none")
    assert found.label_map.tolist() == [[0, 1, 2, 3, 4]]


def test_bands_are_clustered_as_they_are():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 20)[None].repeat(30, axis=0)
    bands = rng.normal(np.array([[0.0] * 5, [9.0] * 5])[truth], 1.0).astype(np.float32)
    found = segment_photo(bands, n_components=2)
    assert np.array_equal(found.label_map, truth)
    assert found.model.color_space == "bands"
    assert found.palette.shape == (2, 3)


def test_a_model_labels_another_photo_as_it_would_its_own(tmp_path):
    found = segment_photo(IMAGE, n_components=3)
    found.model.save(tmp_path / "flag.npz")
    model = PhotoModel.load(tmp_path / "flag.npz")
    assert np.array_equal(apply_model(IMAGE, model).label_map, found.label_map)
    mirrored = apply_model(IMAGE[:, ::-1], model, smooth="none")
    assert np.array_equal(mirrored.label_map, shared_labels(found)[:, ::-1])
    assert mirrored.log_likelihood == pytest.approx(found.log_likelihood)
    assert mirrored.warnings == []
    assert mirrored.lower_bounds.size == 0


def test_a_label_of_no_pixel_keeps_a_color():
    found = segment_photo(IMAGE, n_components=3)
    blue = apply_model(IMAGE[:, 40:], found.model)
    assert blue.shares.tolist() == [1.0, 0.0, 0.0]
    assert blue.palette.any(axis=1).all()


def test_models_that_do_not_fit_are_refused(tmp_path):
    found = segment_photo(IMAGE, n_components=2)
    with pytest.raises(ModelError, match="of 3 color channels, array has 5 bands"):
        apply_model(np.zeros((4, 4, 5), np.uint8), found.model)
    Parameters(np.ones(1), np.zeros((1, 3)), np.eye(3)[None]).save(tmp_path / "other.npz")
    with pytest.raises(ModelError, match="not of photos"):
        PhotoModel.load(tmp_path / "other.npz")
    found.parameters.save(tmp_path / "new.npz", color_space=np.array("lab"), photo_schema=np.array(99))
    with pytest.raises(ModelError, match="newer version"):
        PhotoModel.load(tmp_path / "new.npz")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_components": 0}, DataError, "'auto' and 1, 2, 3"),
        ({"n_components": 2.5}, DataError, "n_components is 2.5"),
        ({"n_components": "many"}, DataError, "'many'"),
        ({"n_components": 10**6}, DataError, "distinct colors; ask for at most"),
        ({"covariance_type": "round"}, DataError, "full, diag, tied, spherical"),
        ({"color_space": "cmyk"}, DataError, "lab, luv, oklab, rgb, linear"),
        ({"smooth": "much"}, DataError, "none, light, strong"),
        ({"n_components": 2, "n_init": 0}, DataError, "n_init is 0"),
        ({"relative_reg": -1.0}, DataError, "relative_reg"),
        ({"n_jobs": 0}, DataError, "n_jobs is 0"),
        ({"sample_weight": np.ones((2, 2))}, ImageError, r"shape \(2, 2\)"),
        ({"sample_weight": -np.ones(IMAGE.shape[:2])}, ImageError, "negative"),
        ({"sample_weight": np.zeros(IMAGE.shape[:2])}, ImageError, "nothing to segment"),
    ],
)
def test_options_that_are_not_allowed_are_refused_in_words(options, error, message):
    with pytest.raises(error, match=message):
        segment_photo(IMAGE, **options)


def test_the_histogram_keeps_weight_and_mean_and_counts_as_few_samples():
    X = np.random.default_rng(0).normal(50, (20, 2, 2), (50_000, 3))
    samples = Samples.of(X, np.random.default_rng(1).integers(1, 5, len(X)))
    histogram = coarse_histogram(samples)
    assert histogram.n_samples < 5_000
    assert histogram.total_weight == pytest.approx(2000)
    assert np.allclose(histogram.mean, samples.mean)
    # What is lost is the spread within cells: a twelfth of their squared width in each feature.
    lost = (samples.variance - histogram.variance).mean() / samples.variance.mean()
    assert lost == pytest.approx(0.15**2 / 12, rel=0.1)


def test_samples_too_scattered_for_a_histogram_are_drawn_from():
    samples = Samples.of(np.random.default_rng(0).random((30_000, 40)))
    histogram = coarse_histogram(samples)
    assert histogram.n_samples <= 16384
    assert histogram.total_weight == pytest.approx(2000)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "tied", "spherical"])
def test_a_split_leaves_weight_and_mean(covariance_type):
    covariances = {
        "full": np.stack([np.diag([4.0, 1.0]), np.diag([1.0, 9.0])]),
        "tied": np.diag([4.0, 1.0]),
        "diag": np.array([[4.0, 1.0], [1.0, 9.0]]),
        "spherical": np.array([4.0, 1.0]),
    }[covariance_type]
    before = Parameters(
        np.array([0.4, 0.6]), np.array([[0.0, 0.0], [10.0, 0.0]]), covariances, covariance_type
    )
    found = splits(before)
    assert len(found) == 2
    for split in found:
        assert split.n_components == 3
        assert split.weights.sum() == pytest.approx(1)
        assert np.allclose(split.weights @ split.means, before.weights @ before.means)
    if covariance_type == "full":
        # Two deviations apart along the longest axis.
        assert np.allclose(np.abs(found[0].means[0] - found[0].means[2]), [4.0, 0.0])


def test_the_package_shows_it():
    assert segment.segment_photo is segment_photo
    assert segment.PhotoSegmentation.__name__ == "PhotoSegmentation"


def test_more_components_than_memory_allows_are_refused_with_the_figure(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    monkeypatch.setattr("segment.photo.arguments.available_memory", lambda: 2 * 10**9)
    with pytest.raises(DataError, match=r"take about 3\.6 GB of memory, 2\.0 GB are .* at most 555, or do"):
        segment_photo(image, n_components=1000)


def test_the_memory_there_is_is_known_on_linux():
    assert available_memory() is None or 10**7 < available_memory() < 10**14


def test_the_choice_is_the_fewest_with_nearly_all_of_the_gain():
    errors = dict.fromkeys(range(1, 5), 7.0)
    flat = Selection({1: 1100.0, 2: 160.0, 3: 140.0, 4: 100.0}, errors | {4: 0.0})
    assert (flat.best, flat.n_components) == (4, 3)
    assert str(flat) == (
        "3 components, the fewest with 95% of the best ICL's gain; the runner-up is 4, its ICL 40 lower "
        "(standard error 7)"
    )
    steep = Selection({1: 1100.0, 2: 160.0, 3: 100.0}, errors)
    assert steep.n_components == 3
    assert "the smallest ICL; the runner-up is 2, its ICL 60 higher (standard error 7)" in str(steep)
    assert Selection({1: 5.0, 2: 9.0}, errors).n_components == 1
    assert str(Selection({1: 5.0}, {1: 0.0})) == "1 component: there are no more colors"


def test_icl_and_its_errors_are_those_of_the_samples():
    samples = Samples.of(to_features(IMAGE.reshape(-1, 3), "lab"))
    found = select_n_components(samples, relative_reg=3e-3)
    histogram = coarse_histogram(samples)
    single = fit_mixture(histogram, 1, relative_reg=3e-3 + CELL**2 / 12).parameters
    assert found.icl[1] == pytest.approx(icl(histogram, single), rel=1e-6)
    assert found.errors[found.best] == 0
    # The bootstrap of the samples, whose weights are counts of independent ones.
    rng = np.random.default_rng(0)
    densities = score_samples(histogram.X, single)
    draws = rng.poisson(histogram.sample_weight, (2000, histogram.n_samples))
    terms = -2 * densities
    spread = (draws @ (terms - np.average(terms, weights=histogram.sample_weight))).std()
    judged = _judged({1: terms, 2: np.zeros(len(terms))}, {1: 1e9, 2: 0.0}, histogram.sample_weight)
    assert judged.errors[1] == pytest.approx(spread, rel=0.06)


def test_the_photo_whose_curve_is_flat_gets_few_colors():
    assert segment_photo(read_photo("skimage:astronaut"), smooth="none").parameters.n_components == 5
