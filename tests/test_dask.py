"""Passes on a Dask cluster: the same bits with any workers, also when one dies; lazy predictions."""

import os
import signal
import warnings

import numpy as np
import pytest

pytest.importorskip("distributed", reason="Dask is not installed (the extra scale)")

import dask.array
import distributed

import segment.data.dask as cluster
from segment import GaussianMixture, open_samples
from segment.data import Samples
from segment.errors import DataError
from segment.mixture import fit_mixture
from tests.test_sources import WEIGHTS, N, X, bits, fitted, write_npy, write_parquet

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def client():
    with cluster.connected("local:2") as found:
        yield found


@pytest.fixture(scope="module")
def plain():
    return fitted(X)


@pytest.fixture
def many_stretches(monkeypatch):
    """Cut into stretches so small that these few rows make a tree of tasks."""
    import segment.data.stored

    monkeypatch.setattr(segment.data.stored, "_SPAN_ROWS", 1024)
    monkeypatch.setattr(segment.data.stored, "_SPAN_BYTES", 0)


def test_two_processes_give_the_bits_of_memory(client, tmp_path, plain):
    assert bits(fitted(open_samples(write_npy(tmp_path, X), client=client))) == bits(plain)
    assert bits(fitted(open_samples(write_parquet(tmp_path, X), client=client))) == bits(plain)
    weighted = fitted(X, sample_weight=WEIGHTS)
    assert bits(fitted(open_samples(tmp_path / "x.npy", weight=WEIGHTS, client=client))) == bits(weighted)


@pytest.mark.parametrize("n_workers", [1, 4])
def test_threads_of_any_number_give_the_same_bits(n_workers, tmp_path, plain, many_stretches, monkeypatch):
    monkeypatch.setattr(cluster, "_TASKS_EACH", 5)
    options = {"n_workers": n_workers, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as found:
        source = open_samples(write_npy(tmp_path, X), client=found)
        assert len(source.spans(1024)) == 69
        assert bits(fitted(source)) == bits(plain)


@pytest.mark.parametrize("chunks", [(7777, 2), ((1, 50_000, N - 50_001), 3)])
def test_a_dask_array_of_any_chunks_gives_the_bits_of_memory(chunks, client, plain, many_stretches):
    assert bits(fitted(dask.array.from_array(X, chunks=chunks))) == bits(plain)


def test_what_the_workers_cannot_keep_is_read_anew_in_every_pass(
    client, tmp_path, plain, many_stretches, monkeypatch
):
    monkeypatch.setattr(cluster.DaskEngine, "_memory", lambda engine: 1.0)
    found = open_samples(dask.array.from_array(X, chunks=(7777, 3)), client=client)
    assert bits(fitted(found)) == bits(plain)
    assert not found.engine.kept
    found = open_samples(write_parquet(tmp_path, X), client=client)
    assert bits(fitted(found)) == bits(plain)
    assert not found.engine.kept


def test_a_dask_array_without_a_client_is_computed_in_threads(plain):
    assert bits(fitted(dask.array.from_array(X, chunks=(7777, 3)))) == bits(plain)


def test_a_dask_dataframe_is_fitted_by_its_columns(client, plain):
    dataframe = pytest.importorskip("dask.dataframe", reason="dask.dataframe needs pandas")
    pandas = pytest.importorskip("pandas")
    frame = dataframe.from_pandas(pandas.DataFrame(X, columns=["red", "green", "blue"]), npartitions=3)
    found = fitted(frame)
    assert bits(found) == bits(plain)
    assert list(found.feature_names_in_) == ["red", "green", "blue"]


def test_predictions_of_a_dask_array_are_lazy(client, plain):
    array = dask.array.from_array(X, chunks=(7777, 2))
    for name in ("predict", "predict_proba"):
        found = getattr(plain, name)(array)
        assert isinstance(found, dask.array.Array)
        expected = getattr(plain, name)(X)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        assert np.array_equal(found.compute(), expected)
    with pytest.raises(DataError, match="X has 2 features"):
        plain.predict(array[:, :2])


@pytest.mark.parametrize("kind", ["npy", "array"])
def test_a_worker_that_is_killed_costs_no_bit(kind, client, tmp_path):
    expected = fit_mixture(Samples.of(X), 3, max_iter=8, tol=0.0)
    rows = dask.array.from_array(X, chunks=(7777, 3)) if kind == "array" else write_npy(tmp_path, X)
    source = open_samples(rows, client=client)
    killed = []

    def kill_once(iteration, bound, parameters):
        if iteration == 3 and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit_mixture(source, 3, max_iter=8, tol=0.0, callback=kill_once)
    assert killed
    assert np.array_equal(found.lower_bounds, expected.lower_bounds)
    assert found.parameters.means.tobytes() == expected.parameters.means.tobytes()
    client.wait_for_workers(2)


@pytest.mark.parametrize("in_calls", [0, 10**7])
def test_large_parameters_go_through_a_task(in_calls, client, tmp_path, monkeypatch):
    Y = np.random.default_rng(0).normal(size=(3000, 40))
    Y[:1500] += 3
    np.save(tmp_path / "w.npy", Y)
    options = {"n_components": 6, "init_params": "kmeans", "random_state": 0, "max_iter": 2}
    monkeypatch.setattr(cluster, "_IN_CALLS", in_calls)
    call, called = cluster.DaskEngine._call, []
    monkeypatch.setattr(
        cluster.DaskEngine,
        "_call",
        lambda engine, function, *rest: called.append(function) or call(engine, function, *rest),
    )
    found = GaussianMixture(**options).fit(open_samples(tmp_path / "w.npy", client=client))
    assert bits(found) == bits(GaussianMixture(**options).fit(Y))
    assert (cluster._same in called) == (in_calls == 0)


def test_a_bad_value_is_named_with_its_row_from_the_workers(client, tmp_path):
    Y = X.copy()
    Y[66_000, 2] = np.inf
    with pytest.raises(DataError, match=r"x\.npy, row 66000: column 2 is inf"):
        fitted(open_samples(write_npy(tmp_path, Y), client=client))
    with pytest.raises(DataError, match="row 66000: column 2 is inf"):
        fitted(dask.array.from_array(Y, chunks=(7777, 3)))


@pytest.mark.parametrize("address", ["local:0", "local:x", "remote", "http:x", ""])
def test_an_address_of_no_known_form_is_refused(address):
    with pytest.raises(DataError, match="are allowed"), cluster.connected(address):
        pass


def test_a_cluster_without_workers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    options = {"n_workers": 0, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as local, distributed.Client(local) as found:
        monkeypatch.setattr(cluster, "POLL", 0.2)
        with pytest.raises(DataError, match="no worker"):
            fitted(open_samples(write_npy(tmp_path, X), client=found))


def test_a_lost_fit_is_resumed_elsewhere(client, tmp_path, plain):
    source = open_samples(write_npy(tmp_path, X), client=client)
    fitted(source, checkpoint=tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(data[: 9 * len(data) // 10])
    assert bits(fitted(open_samples(tmp_path / "x.npy"), checkpoint=tmp_path / "c", resume=True)) == bits(
        plain
    )
