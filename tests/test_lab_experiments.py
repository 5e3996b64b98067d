"""Every experiment against the literature, its own formulas, and what each result must hold."""

import csv
import io
import json
from dataclasses import FrozenInstanceError, replace
from functools import cache

import numpy as np
import pytest
from matplotlib.text import Text
from toys import outcome
from wording import has_entry, was_filled

from segment.errors import DataError
from segment.lab import EXPERIMENTS, experiment, experiments
from segment.lab import peppered_moths as moths
from segment.lab.matching import agreement, best_order
from segment.lab.outcome import Column, Table, at_least, at_most, close
from segment.lab.trace import never_falls, trace_em
from segment.mixture import Parameters, Samples
from segment.mixture.expectation import score_samples
from segment.mixture.imputation import impute
from segment.output import json_text
from segment.report.replays import View, replay_missing
from segment.style import save_formats
from segment.words import LANGUAGES


@cache
def drawn(name):
    return [(picture, picture.draw()) for picture in EXPERIMENTS[name].pictures(outcome(name))]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_everything_comes_out_as_the_literature_says(name):
    assert [check for check in outcome(name).checks if not check.passed] == []
    assert len(outcome(name).checks) >= 3
    assert outcome(name).findings


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("mouse", 7),
        ("mouse", 11),
        ("iris", 10),
        ("iris", 12),
        ("four-gaussians", 11),
        ("single-or-mixture", 11),
        ("peppered-moths", 11),
        ("ecm-t", 11),
    ],
)
def test_the_behavior_does_not_hang_on_the_seed(name, seed):
    found = EXPERIMENTS[name].run(seed)
    assert found.passed, [check for check in found.checks if not check.passed]


@pytest.mark.parametrize("name", ["mouse", "iris", "single-or-mixture", "peppered-moths", "four-gaussians"])
def test_the_same_seed_gives_the_same_numbers(name):
    again = EXPERIMENTS[name].run(0)
    assert json_text(again.summary()) == json_text(outcome(name).summary())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_result_is_frozen_and_its_record_is_json(name):
    with pytest.raises(FrozenInstanceError):
        outcome(name).random_state = 1
    summary = json.loads(json_text(outcome(name).summary()))
    assert set(summary) >= {"random_state", "passed", "checks", "findings", "tables"}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_all_that_an_experiment_shows_is_translated(name, language):
    found = outcome(name)
    said = [*found.findings, *(text for check in found.checks for text in check[:3])]
    for table in found.tables:
        said += [table.caption, *(column.title for column in table.columns)]
        said += [cell for row in table.rows for cell in row if isinstance(cell, str)]
    said += [text for picture, _ in drawn(name) for text in (picture.caption, picture.alt)]
    said += [experiment(name).title, experiment(name).question]
    said += [text for pair in experiment(name).lesson.items() for text in pair]
    figures = {text.get_text() for _, figure in drawn(name) for text in figure.findobj(Text)}
    missing = [text for text in said if not has_entry(text, language)]
    missing += [text for text in figures if not has_entry(text, language) and not was_filled(text, language)]
    assert missing == []


def test_gaps_are_replayed_from_the_middle_to_where_the_whole_fit_expects_them():
    found = outcome("missing")
    assert found.filling.log_likelihoods[-1] == pytest.approx(found.fit.log_likelihoods[-1], abs=1e-3)
    replay = replay_missing(found)
    known = found.gappy[~np.isnan(found.gappy).all(axis=1)]
    moving = np.flatnonzero(np.isnan(known).any(axis=1))
    assert replay["moving"] == moving.tolist()
    first, last = (np.array(replay["panels"][0]["steps"][i]["moved"]) for i in (0, -1))
    points = np.array(replay["points"])
    assert (last == points[moving]).all()
    assert (View(found.X).places(impute(known, found.fit.last, n_jobs=1)) == points).mean() > 0.95
    gone = np.isnan(known[moving])
    assert np.abs(first - last)[gone].mean() > 30
    assert (first[~gone] == last[~gone]).all()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_figures_say_what_they_show(name):
    for picture, figure in drawn(name):
        assert picture.name.startswith(name.partition("-")[0])
        assert len(picture.caption) > 40
        assert picture.caption.endswith(".")
        assert picture.alt
        assert figure.axes
        assert any(axes.get_xlabel() or axes.get_title() for axes in figure.axes)


@pytest.mark.parametrize("name", ["mouse", "peppered-moths"])
def test_equal_figures_are_equal_files(name, tmp_path):
    def files(folder):
        written = []
        for picture in EXPERIMENTS[name].pictures(outcome(name))[:1]:
            written += save_formats(picture.draw(), folder / picture.name, ("png", "pdf", "svg"))
        return {path.name: path.read_bytes() for path in written}

    first, second = files(tmp_path / "a"), files(tmp_path / "b")
    assert first == second
    assert {name.rpartition(".")[2] for name in first} == {"png", "pdf", "svg"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_tables_are_whole_in_every_form(name):
    for table in outcome(name).tables:
        rows = list(csv.reader(io.StringIO(table.csv())))
        assert len(rows) == 1 + len(table.rows)
        assert {len(row) for row in rows} == {len(table.columns)}
        latex = table.latex()
        assert latex.count(r"\\") == 1 + len(table.rows)
        assert latex.count("{") == latex.count("}")
        assert latex.count("&") == (len(table.columns) - 1) * (1 + len(table.rows)) + latex.count(r"\&")


def test_a_table_escapes_and_keeps_its_precision():
    table = Table("t", "50 % of a_b & c", (Column("what"), Column("x", ".2f")), (("a_1", -1 / 3), ("", None)))
    assert r"50 \% of a\_b \& c" in table.latex()
    assert r"a\_1 & $-$0.33 \\" in table.latex()
    assert table.csv() == "what,x\na_1,-0.3333333333\n,\n"
    assert table.text_rows() == [["a_1", "\N{MINUS SIGN}0.33"], ["", ""]]


def test_powers_of_ten_are_set_as_such():
    table = Table(
        "t", "tiny", (Column("what"), Column("x", ".1e")), (("a", 7.6e-5), ("b", 2.0), ("#4e3712", -1e-12))
    )
    latex = table.latex()
    assert r"a & 7.6 $\times 10^{-5}$ \\" in latex
    assert r"b & 2.0 $\times 10^{0}$ \\" in latex
    assert r"\#4e3712 & $-$1.0 $\times 10^{-12}$ \\" in latex


def test_checks_can_fail():
    assert close("x", 1.0, 1.1, 0.2).passed
    assert not close("x", 1.0, 1.3, 0.2).passed
    assert not at_least("x", 0.9, 1.0).passed
    assert not at_most("x", 1.1, 1.0).passed
    assert not at_most("x", float("nan"), 1.0).passed
    failing = replace(outcome("mouse"), checks=(at_least("x", 0.9, 1.0),))
    assert not failing.passed


def test_a_fall_of_the_log_likelihood_is_told():
    trace = outcome("mouse").trace
    assert never_falls(trace).passed
    fallen = replace(trace, log_likelihoods=np.append(trace.log_likelihoods, 5.0))
    assert not never_falls(trace, fallen).passed
    assert "fell by" in never_falls(fallen).got


def test_a_trace_holds_every_step_from_the_start():
    X = np.array([[0.0], [1.0], [5.0], [6.5]])
    start = Parameters(np.array([0.5, 0.5]), np.array([[0.0], [6.0]]), np.ones((2, 1, 1)))
    trace = trace_em(Samples.of(X), start, max_iter=4, tol=0.0)
    assert trace.at(0) is start
    assert trace.n_iter == 3
    assert trace.at(99) is trace.last
    # After one step the means are those of the two pairs, nearly all of each being its own.
    assert np.allclose(trace.at(1).means[:, 0], [0.5, 5.75], atol=1e-3)


def test_unknown_experiments_are_named():
    with pytest.raises(DataError, match="no experiment 'mice'; allowed are heights"):
        experiment("mice")
    assert [found.name for found in experiments(["iris", "mouse", "iris"])] == ["mouse", "iris"]


def test_heights_starts_behave_as_described():
    result = outcome("heights")
    ends = {name: trace.log_likelihoods[-1] for name, trace in result.traces.items()}
    assert ends["A"] > ends["B"] + 1
    assert ends["B"] == pytest.approx(ends["C"], abs=1e-9)
    narrow = np.sqrt(result.traces["B"].last.covariances.min())
    assert narrow < 2.0
    assert result.basin.shape[0] >= 40
    assert np.array_equal(result.basin, result.basin.T)
    assert result.basin.max() == pytest.approx(ends["A"], abs=0.02)
    assert len(result.repeats["B"].log_likelihoods) == 200


def test_heights_estimates_are_judged_by_likelihood_and_at_the_optimum():
    from scipy.stats import chi2

    from segment.lab.heights_fits import TRUTH

    result = outcome("heights")
    checks = {check.claim: check for check in result.checks}
    gain = checks["start A: twice the nats it gains over the truth"]
    truth = score_samples(result.heights[:, None], TRUTH).sum()
    assert float(gain.got) == pytest.approx(2 * (result.traces["A"].log_likelihoods[-1] - truth), abs=0.02)
    limit = float(gain.expected.removeprefix("at most "))
    assert chi2.sf(limit, df=5) == pytest.approx(1 / 15787, rel=0.01)
    # Plain EM stops a fiftieth of a standard error short of it, where the two differ in the fourth digit.
    assert float(checks["supplemented EM against observed information, relative"].got) < 1e-5
    errors = result.errors
    ratios = errors["bootstrap"].errors / errors["observed information"].errors
    assert f"{ratios.min():.2f} to {ratios.max():.2f} times" in result.findings[-1]


def test_moths_expected_counts_by_hand():
    log_likelihood, counts = moths.AlleleModel(moths.COUNTS).expect(np.full(3, 1 / 3))
    # With equal frequencies CC : CI : CT = 1 : 2 : 2 and II : IT = 1 : 2.
    assert np.allclose(counts, [17, 34, 34, 196 / 3, 392 / 3, 341])
    assert log_likelihood == pytest.approx(85 * np.log(5 / 9) + 196 * np.log(1 / 3) + 341 * np.log(1 / 9))
    following = moths.AlleleModel(moths.COUNTS).maximize(counts, np.full(3, 1 / 3))
    assert following[0] == pytest.approx((2 * 17 + 34 + 34) / (2 * 622))
    assert following.sum() == pytest.approx(1.0)


def test_moths_information_is_the_second_derivative():
    data = moths.AlleleData(moths.COUNTS)
    best, step = outcome("peppered-moths").trace.last[:2], 1e-4

    def value(vector):
        return data.alleles.expect(data.from_vector(vector))[0]

    shifts = step * np.eye(2)
    hessian = np.array(
        [
            [
                value(best + a + b) - value(best + a - b) - value(best - a + b) + value(best - a - b)
                for b in shifts
            ]
            for a in shifts
        ]
    ) / (4 * step**2)
    complete, missing = data.information(outcome("peppered-moths").trace.last)
    assert np.allclose(complete - missing, -hessian, rtol=1e-4)


def test_moths_can_be_accelerated():
    from segment.em import SmallGain, run_em

    model = moths.AlleleModel(moths.COUNTS)
    fast = run_em(model, np.full(3, 1 / 3), stopping=SmallGain(1e-14))
    assert np.allclose(fast.parameters, outcome("peppered-moths").trace.last, atol=1e-7)


def test_five_points_first_step_by_hand():
    trace = outcome("five-points").trace
    x = np.arange(1, 6)
    share = 1 / (1 + np.exp(2.0 * (x - 3)))
    mean = (share * x).sum() / share.sum()
    assert trace.at(1).means[0, 0] == pytest.approx(mean)
    assert trace.at(1).covariances[0, 0, 0] == pytest.approx((share * (x - mean) ** 2).sum() / share.sum())


def test_five_points_end_in_a_saddle_and_leave_it_when_pushed():
    from scipy.optimize import minimize

    from segment.lab.five_points import X, curvatures

    result = outcome("five-points")
    assert np.allclose(result.trace.last.means.sum(), 6)
    assert result.curvatures[0][-1] == pytest.approx(0.377, abs=1e-3)
    assert (result.curvatures[0][:-1] < 0).all()
    assert (result.curvatures[1] < 0).all()

    def loss(vector):
        weight = 1 / (1 + np.exp(-vector[0]))
        parts = np.exp(-0.5 * ((X - vector[1:3]) / np.exp(vector[3:])) ** 2) / np.exp(vector[3:])
        return -np.log(parts @ [weight, 1 - weight] / np.sqrt(2 * np.pi)).sum()

    last = result.pushed.last
    logit = np.log(last.weights[0] / last.weights[1])
    best = minimize(loss, [logit, *last.means.ravel(), *np.log(last.covariances.ravel()) / 2], tol=1e-10)
    assert -best.fun == pytest.approx(result.pushed.log_likelihoods[-1], abs=1e-8)
    assert -best.fun == pytest.approx(-8.3307, abs=1e-4)
    assert -best.fun > result.trace.log_likelihoods[-1] + 0.05
    # One Gaussian split in two is another saddle: EM cannot leave it, though it can be left.
    halves = Parameters(np.array([0.5, 0.5]), np.array([[3.0], [3.0]]), np.full((2, 1, 1), 2.0))
    assert curvatures(halves)[-1] > -1e-6
    assert "saddle" in " ".join(result.findings)
    assert "+0.377" in " ".join(result.findings)


@pytest.mark.parametrize(("seed", "words"), [(0, "gives it away"), (3, "only the species do")])
def test_iris_says_of_the_highest_start_what_the_test_part_says(seed, words):
    result = outcome("iris", seed)
    kmeans = float(score_samples(result.X_test, result.trace.last).mean())
    assert (result.spurious.test < kmeans - 0.05) == (words == "gives it away")
    assert words in result.findings[2]
    assert f"{result.spurious.test:.2f} against {kmeans:.2f}" in result.findings[2]


def test_the_median_of_the_heights_counts_a_mirrored_run_once():
    result = outcome("heights")
    speed = next(table for table in result.tables if table.name == "heights_speed")
    ratios = {row[0]: row[1] / row[3] for row in speed.rows}
    assert ratios["B"] == pytest.approx(ratios["C"], rel=0.05)
    once = np.median([ratio for start, ratio in ratios.items() if start != "C"])
    assert f"{once:.1f} times fewer E-steps" in " ".join(result.findings)


def test_the_bar_at_zero_of_the_heights_is_explained():
    result = outcome("heights")
    below = result.repeats["A"].log_likelihoods - result.repeats["B"].log_likelihoods
    caption = next(picture.caption for picture, _ in drawn("heights") if picture.name == "heights_repeats")
    assert "left of zero" not in caption
    assert f"On {(below < -0.01).sum()} of them B ended higher, by at most {-below.min():.2f} nats" in caption


def test_the_mouse_and_kmeans_start_together():
    result = outcome("mouse")
    assert np.allclose(result.trace.at(0).means, result.kmeans_centers[0])
    spreads = [
        np.square(result.X - centers[labels]).sum()
        for centers, labels in zip(result.kmeans_centers, result.kmeans_labels, strict=True)
    ]
    assert (np.diff(spreads) <= 1e-12).all()
    assert result.em.accuracy - result.kmeans.accuracy > 0.1


def test_the_bound_is_below_the_log_likelihood_and_its_maximum_is_the_next_value():
    result = outcome("single-or-mixture")
    model, means = result.bound_model, np.linspace(165, 195, 61)
    for current, following in zip(result.climb.parameters[:2], result.climb.parameters[1:3], strict=True):
        bounds = model.lower_bounds(means, current)
        assert (bounds <= model.log_likelihoods(means) + 1e-9).all()
        peak = model.lower_bounds(np.array([following]), current)[0]
        assert peak >= bounds.max()


def test_agreement_by_hand():
    truth, labels = np.array([0, 0, 0, 1, 1, 2]), np.array([2, 2, 1, 0, 0, 1])
    assert best_order(truth, labels, 3).tolist() == [2, 0, 1]
    assert agreement(truth, labels).accuracy == pytest.approx(5 / 6)
