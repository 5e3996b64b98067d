"""Hidden Markov models: every path counted on tiny sequences, what each fit must hold, published values."""

import itertools
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segment import HiddenMarkov
from segment.em import SmallGain, run_em
from segment.errors import DataError, ModelError
from segment.kernels.em import chain as kernels
from segment.lab.earthquakes import COUNTS
from segment.mixture.families.bernoulli import Bernoulli, BernoulliParameters
from segment.mixture.families.gaussian.family import Gaussian
from segment.mixture.families.gaussian.parameters import Parameters
from segment.sequence import ChainParameters, Sequences
from segment.sequence.chains import CHAIN_RULES, stationary
from segment.sequence.expectation import accumulate, log_likelihoods, most_probable_paths, posteriors
from segment.sequence.model import ChainModel
from segment.sequence.starts import random_start

ROOTED = np.sqrt(2 * math.pi)


def toy(seed=0, lengths=(4, 1, 6, 3), weights=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(sum(lengths), 2)) + 2.0 * rng.integers(0, 2, (sum(lengths), 1))
    emissions = Parameters(
        np.full(3, 1 / 3), np.array([[0.0, 0.0], [2.0, 1.0], [1.0, 3.0]]), np.ones((3, 2)), "diag"
    )
    transitions = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.3, 0.4]])
    return Sequences.of(X, lengths, weights), ChainParameters([0.5, 0.5, 0.0], transitions, emissions)


def by_paths(X, parameters):
    """Return log-likelihood, posteriors, expected transitions and the best path, over every path."""
    means, variances = parameters.emissions.means, parameters.emissions.covariances
    b = np.prod(np.exp(-0.5 * (X[:, None] - means) ** 2 / variances) / (ROOTED * np.sqrt(variances)), axis=2)
    K, T = 3, len(X)
    total, shares, moves = 0.0, np.zeros((T, K)), np.zeros((K, K))
    best, path = -1.0, None
    for states in itertools.product(range(K), repeat=T):
        p = parameters.starts[states[0]] * b[0, states[0]]
        for t in range(1, T):
            p *= parameters.transitions[states[t - 1], states[t]] * b[t, states[t]]
        total += p
        for t, k in enumerate(states):
            shares[t, k] += p
            if t:
                moves[states[t - 1], k] += p
        if p > best:
            best, path = p, states
    return math.log(total), shares / total, moves / total, path, math.log(best)


def check_against_paths(sequences, parameters):
    shares, path_of = posteriors(sequences, parameters), most_probable_paths(sequences, parameters)
    found, each = accumulate(sequences, parameters), log_likelihoods(sequences, parameters)
    starts, moves, log_likelihood = np.zeros(3), np.zeros((3, 3)), 0.0
    for s, (a, b) in enumerate(itertools.pairwise(sequences.offsets)):
        expected = by_paths(sequences.samples.X[a:b], parameters)
        weight = sequences.weights[s]
        assert each[s] == pytest.approx(expected[0], rel=1e-12)
        np.testing.assert_allclose(shares[a:b], expected[1], atol=1e-12)
        assert tuple(path_of[0][a:b]) == expected[3]
        assert path_of[1][s] == pytest.approx(expected[4], rel=1e-12)
        starts += weight * expected[1][0]
        moves += weight * expected[2]
        log_likelihood += weight * expected[0]
    np.testing.assert_allclose(found.starts, starts, atol=1e-12)
    np.testing.assert_allclose(found.transitions, moves, atol=1e-12)
    assert found.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)


@pytest.mark.parametrize("weights", [None, [1.0, 2.5, 0.0, 3.0]])
def test_sums_posteriors_and_paths_are_those_over_every_path(weights):
    check_against_paths(*toy(weights=weights))


@pytest.mark.kernels
def test_log_space_takes_over_where_scales_underflow(monkeypatch):
    """Without a limit the scaled passes are taken; with one that nothing reaches, the logarithms are."""
    sequences, parameters = toy(lengths=(5, 2))
    densities = np.log(np.random.default_rng(0).uniform(0.1, 1.0, (7, 3)))
    total = np.exp(densities).sum(axis=1)
    K, moves = 3, []
    for relative in (np.exp(densities) / total[:, None], np.zeros((7, 3))):
        found = np.empty((7, K)), np.zeros(K), np.zeros((K, K)), np.empty(2)
        kernels.forward_backward(
            densities,
            relative,
            np.log(total),
            sequences.offsets,
            np.ones(2),
            parameters.starts,
            parameters.transitions,
            *found,
        )
        moves.append(found)
    for one, other in zip(*moves, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_an_outlier_that_only_an_unlikely_state_can_reach_is_no_end():
    """Every density of the reachable state underflows beside the other's: the scaled pass cannot go on."""
    emissions = Parameters(np.full(2, 0.5), np.array([[0.0], [100.0]]), np.ones((2, 1)), "diag")
    parameters = ChainParameters([1.0, 0.0], np.array([[1.0, 0.0], [0.0, 1.0]]), emissions)
    sequences = Sequences.of(np.array([[0.0], [100.0], [0.0]]))
    expected = -0.5 * 100.0**2 - 3 * math.log(ROOTED)
    assert log_likelihoods(sequences, parameters)[0] == pytest.approx(expected, rel=1e-12)
    assert posteriors(sequences, parameters).tolist() == [[1.0, 0.0]] * 3
    assert accumulate(sequences, parameters).transitions.tolist() == [[2.0, 0.0], [0.0, 0.0]]


def bits(seed=0):
    rng = np.random.default_rng(seed)
    states = np.repeat([0, 1, 0, 1], 50)
    return (rng.uniform(size=(200, 4)) < np.array([[0.9, 0.8, 0.1, 0.2], [0.2, 0.1, 0.7, 0.9]])[states]) * 1.0


def models(rule="estimated"):
    X, lengths = bits(), [60, 90, 50]
    sequences, _ = toy(lengths=(30, 40, 1, 50))
    of = Gaussian.of
    for kind in ("full", "diag", "tied", "spherical"):
        yield f"gaussian, {kind}", ChainModel(sequences, of(sequences.samples, kind), 3, CHAIN_RULES[rule])
    binary = Sequences.of(X, lengths)
    yield "bernoulli", ChainModel(binary, Bernoulli.of(binary.samples), 2, CHAIN_RULES[rule])


def start_of(model, K, seed=0):
    return random_start(model.sequences, K, model.family, model.rule, np.random.default_rng(seed))


@pytest.mark.parametrize("rule", CHAIN_RULES)
@pytest.mark.parametrize("acceleration", ["squarem", None])
def test_the_log_likelihood_never_falls(rule, acceleration):
    for name, model in models(rule):
        K = model.chart.n_components
        result = run_em(model, start_of(model, K), stopping=SmallGain(1e-9, 200), acceleration=acceleration)
        assert np.diff(result.lower_bounds).min() > -1e-10, name
        assert result.n_iter > 3


def test_a_weight_is_so_many_copies_of_a_sequence():
    sequences, parameters = toy(weights=[1.0, 3.0, 2.0, 0.0])
    X, offsets = sequences.samples.X, sequences.offsets
    copies = [0, 1, 1, 1, 2, 2]
    again = Sequences.of(
        np.concatenate([X[offsets[s] : offsets[s + 1]] for s in copies]), sequences.lengths[copies]
    )
    one, other = accumulate(sequences, parameters), accumulate(again, parameters)
    np.testing.assert_allclose(one.transitions, other.transitions, rtol=1e-12)
    np.testing.assert_allclose(one.emissions.second, other.emissions.second, rtol=1e-12)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-13)


def test_a_vector_is_the_model_again():
    for name, model in models():
        K = model.chart.n_components
        start = start_of(model, K)
        again = model.chart.unpack(model.chart.pack(start))
        np.testing.assert_allclose(again.transitions, start.transitions, atol=1e-15, err_msg=name)
        assert model.expect(again).objective == pytest.approx(model.expect(start).objective, rel=1e-10)


@pytest.mark.parametrize("rule", CHAIN_RULES)
def test_the_gradient_is_zero_where_a_fit_ends(rule):
    sequences = Sequences.of(bits(), [60, 90, 50])
    model = ChainModel(sequences, Bernoulli.of(sequences.samples), 2, CHAIN_RULES[rule])
    found = run_em(model, start_of(model, 2), stopping=SmallGain(1e-13, 5000)).parameters
    for i in range(2):

        def moved(step, i=i):
            transitions = found.transitions.copy()
            transitions[i] += [step, -step]
            starts = model.rule.starts(found.starts, transitions)
            return model.expect(ChainParameters(starts, transitions, found.emissions)).objective

        assert abs(moved(1e-5) - moved(-1e-5)) / 2e-5 < 2e-3


def test_threads_leave_every_bit():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 900)
    for cut in (lengths, None):
        X = rng.normal(size=(lengths.sum(), 2))
        sequences = Sequences.of(X, cut)
        _, parameters = toy()
        one, three = (accumulate(sequences, parameters, n_jobs=n) for n in (1, 3))
        np.testing.assert_array_equal(one.transitions, three.transitions)
        np.testing.assert_array_equal(one.emissions.second, three.emissions.second)
        assert one.log_likelihood == three.log_likelihood


def test_the_chain_recovers_what_the_sequences_came_from():
    _, parameters = toy()
    parameters = ChainParameters(
        [0.3, 0.3, 0.4],
        np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]]),
        replace(parameters.emissions, means=3.0 * parameters.emissions.means),
    )
    source = HiddenMarkov(3, covariance_type="diag", random_state=0)
    source._set(parameters)
    X, states = source.sample(3000)
    fitted = HiddenMarkov(3, covariance_type="diag", random_state=1, n_init=6).fit(X, [1000, 500, 1500])
    order = np.argsort(fitted.means_[:, 0])[[0, 2, 1]]
    found = fitted.parameters_.reordered(order)
    np.testing.assert_allclose(found.transitions, parameters.transitions, atol=0.04)
    np.testing.assert_allclose(found.emissions.means, parameters.emissions.means, atol=0.25)
    assert (np.argsort(order)[fitted.predict(X, [1000, 500, 1500])] == states).mean() > 0.97
    assert fitted.predict_proba(X).sum(axis=1) == pytest.approx(1.0)


def test_what_transitions_keep_is_kept():
    transitions = np.array([[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.3, 0.3, 0.4]])
    kept = stationary(transitions)
    np.testing.assert_allclose(kept @ transitions, kept, atol=1e-10)
    assert stationary(np.array([[0.5, 0.5], [0.0, 1.0]])) == pytest.approx([0.0, 1.0], abs=1e-9)


def test_what_is_saved_is_read_again(tmp_path):
    X = bits()
    model = HiddenMarkov(2, family="bernoulli", random_state=0, n_init=2).fit(X)
    model.save(tmp_path / "chain.npz")
    again = HiddenMarkov.load(tmp_path / "chain.npz")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.get_params() == model.get_params()
    assert again.bic(X) == model.bic(X)
    (tmp_path / "other.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"other\.npz"):
        HiddenMarkov.load(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": [3, 3]}, "sum to 6, but there are 10 rows"),
        ({"lengths": [10, 0]}, "at least 1"),
        ({"lengths": [5.0, 5.0]}, "whole numbers"),
        ({"lengths": [5, 5], "sample_weight": np.ones(10)}, "each of 2 sequences"),
        ({"sample_weight": [-1.0]}, "not negative"),
    ],
)
def test_wrong_requests_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        HiddenMarkov(2).fit(np.zeros((10, 1)), **options)


@pytest.mark.parametrize("family", ["bayesian", "gaussian-gaps", "gamma"])
def test_a_family_that_no_chain_can_have_is_refused_with_those_that_it_can(family):
    with pytest.raises(ValueError, match=r"'family' parameter of HiddenMarkov must be .*'poisson'"):
        HiddenMarkov(2, family=family).fit(np.zeros((10, 1)))


@pytest.mark.parametrize("family", ["student", "multinomial"])
def test_other_families_make_chains_too(family):
    X = np.random.default_rng(0).poisson(np.repeat([[9.0, 1.0], [1.0, 9.0]], 40, axis=0)).astype(float)
    states = HiddenMarkov(2, family=family, random_state=0).fit(X).predict(X)
    assert len(set(states[:40])) == len(set(states[40:])) == 1
    assert states[0] != states[-1]


def test_an_impossible_sequence_is_named():
    parameters = ChainParameters(
        [1.0, 0.0], np.eye(2), BernoulliParameters([0.5, 0.5], np.array([[1.0], [0.0]]))
    )
    model = HiddenMarkov(2, family="bernoulli")
    model._set(parameters)
    assert model.score_samples(np.array([[1.0], [0.0]]), [1, 1]).tolist() == [0.0, -math.inf]
    for ask in (model.predict, model.predict_proba):
        with pytest.raises(DataError, match="sequence 1 has probability 0"):
            ask(np.array([[1.0], [0.0]]), [1, 1])


def earthquakes(K, **options):
    return HiddenMarkov(K, family="poisson", tol=1e-10, **options).fit(COUNTS[:, None])


@pytest.mark.parametrize(("K", "expected"), [(1, -391.9189), (2, -341.8787), (3, -328.5275)])
def test_earthquakes(K, expected):
    model = earthquakes(K, random_state=0)
    assert model.log_likelihood_ == pytest.approx(expected, abs=5e-5)
    if K == 3:
        assert np.sort(model.rates_[:, 0]) == pytest.approx([13.134, 19.713, 29.710], abs=6e-4)


def test_stationary_earthquakes():
    """The same book's table 3.2 has these for a stationary chain, by direct maximization."""
    assert earthquakes(2, starts="stationary", random_state=0).log_likelihood_ == pytest.approx(
        -342.3183, abs=5e-5
    )
    assert earthquakes(3, starts="stationary", random_state=0).log_likelihood_ == pytest.approx(
        -329.4603, abs=5e-5
    )


def test_published_earthquakes_and_coal():
    """The typed counts are those of the book's file; coal: Jarrett (1979), one change for good."""
    folder = Path(os.environ.get("SEGMENT_DATASETS", "datasets")) / "golden"
    if not folder.exists():
        pytest.skip(f"{folder} is absent")
    counts = np.loadtxt(folder / "earthquakes.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_array_equal(counts, COUNTS)
    years = np.floor(np.loadtxt(folder / "coal.csv", skiprows=1)).astype(int)
    X = np.bincount(years - 1851, minlength=112).astype(float)[:, None]
    model = HiddenMarkov(2, family="poisson", tol=1e-10, random_state=0).fit(X)
    assert model.log_likelihood_ == pytest.approx(-171.8936, abs=5.1e-5)
    order = np.argsort(-model.rates_[:, 0])
    assert model.rates_[order, 0] == pytest.approx([3.123, 0.925], abs=5.1e-4)
    assert model.transitions_[order[1], order[1]] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_few_starts_find_the_best_optimum(seed):
    assert earthquakes(3, random_state=seed).log_likelihood_ == pytest.approx(-328.5275, abs=5e-5)
