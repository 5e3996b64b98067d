"""Samples in files of every kind: the same bits as in memory, clear errors, checkpoints that resume."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

from segment import BernoulliMixture, GaussianMixture, open_samples
from segment.data import Samples, subsample
from segment.data.journal import Journal
from segment.errors import DataError, ModelError
from segment.mixture import Gaussian, fit_mixture

N = 70_001


def _clusters(n=N, d=3, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return (rng.normal(size=(n, d)) + 4.0 * labels[:, None]).astype(dtype)


X = _clusters()
WEIGHTS = np.random.default_rng(1).integers(0, 4, N).astype(np.float64)
COLUMNS = ("red", "green", "blue")


def bits(mixture):
    arrays = (mixture.weights_, mixture.means_, mixture.covariances_, mixture.lower_bounds_)
    return tuple(array.tobytes() for array in arrays)


def fitted(X, **options):
    fit_options = {
        name: options.pop(name) for name in ("sample_weight", "checkpoint", "resume") if name in options
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(3, random_state=0, max_iter=5, **options).fit(X, **fit_options)


@pytest.fixture(scope="module")
def plain():
    return fitted(X)


@pytest.fixture(scope="module")
def weighted():
    return fitted(X, sample_weight=WEIGHTS)


def write_npy(folder, X):
    np.save(folder / "x.npy", X)
    return folder / "x.npy"


def write_fortran(folder, X):
    np.save(folder / "f.npy", np.asfortranarray(X))
    return folder / "f.npy"


def write_npz(folder, X):
    np.savez(folder / "x.npz", X=X, other=np.zeros(3))
    return folder / "x.npz"


def write_parquet(folder, X):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    names = [*COLUMNS, *"abcdefgh"][: X.shape[1]]
    table = pyarrow.table({name: X[:, i] for i, name in enumerate(names)})
    parquet.write_table(table, folder / "x.parquet", row_group_size=7777)
    return folder / "x.parquet"


def write_zarr(folder, X):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    array = zarr.create_array(folder / "x.zarr", shape=X.shape, dtype=X.dtype, chunks=(10_000, 2))
    array[:] = X
    return folder / "x.zarr"


def write_list(folder, X):
    paths = []
    for number, part in enumerate(np.split(X, [1, 30_000])):
        paths.append(folder / f"part{number}.npy")
        np.save(paths[-1], part)
    return paths


KINDS = {
    write.__name__.removeprefix("write_"): write
    for write in (write_npy, write_fortran, write_npz, write_parquet, write_zarr, write_list)
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_from_a_file_has_the_bits_of_one_in_memory(kind, tmp_path, plain):
    source = open_samples(KINDS[kind](tmp_path, X))
    assert (source.n_samples, source.n_features, source.dtype) == (N, 3, np.float32)
    found = fitted(source)
    assert bits(found) == bits(plain)
    assert np.array_equal(found.predict(source), plain.predict(X))
    assert np.array_equal(found.predict_proba(source), plain.predict_proba(X))
    assert np.array_equal(found.score_samples(source), plain.score_samples(X))
    assert found.score(source) == plain.score(X)
    assert found.icl(source) == plain.icl(X)


def test_a_fit_from_csv_has_the_bits_of_one_in_memory(tmp_path):
    Y = X[:20_000].astype(np.float64)
    np.savetxt(tmp_path / "x.csv", Y, delimiter=",", fmt="%.17g", header="red,green,blue", comments="")
    source = open_samples(tmp_path / "x.csv")
    assert source.columns == COLUMNS
    temporary = source.reader.rows.stamp.path
    found = fitted(source)
    assert bits(found) == bits(fitted(Y))
    assert list(found.feature_names_in_) == list(COLUMNS)
    del source
    assert not os.path.exists(temporary)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_memory_map_is_read_in_blocks_with_the_same_bits(n_jobs, tmp_path, plain):
    mapped = np.load(write_npy(tmp_path, X), mmap_mode="r")
    assert bits(fitted(mapped, n_jobs=n_jobs)) == bits(plain)
    assert bits(fitted(mapped[:50_000], n_jobs=n_jobs)) == bits(fitted(X[:50_000]))
    assert np.array_equal(plain.predict(mapped), plain.predict(X))


def test_weights_from_a_column_an_array_and_in_memory_have_the_same_bits(tmp_path, weighted):
    both = np.column_stack([X, WEIGHTS.astype(np.float32)])
    parquet = write_parquet(tmp_path, both)
    npy = write_npy(tmp_path, both)
    for source in (
        open_samples(parquet, weight="a"),
        open_samples(npy, weight=3),
        open_samples(npy, columns=[0, 1, 2], weight=WEIGHTS),
    ):
        assert source.is_weighted
        assert source.total_weight == WEIGHTS.sum()
        assert bits(fitted(source)) == bits(weighted)
    assert bits(fitted(np.load(npy, mmap_mode="r")[:, :3], sample_weight=WEIGHTS)) == bits(weighted)


def test_an_integer_weight_equals_repetition_in_a_file(tmp_path):
    np.save(tmp_path / "r.npy", np.repeat(X, WEIGHTS.astype(int), axis=0))
    repeated = fitted(open_samples(tmp_path / "r.npy"))
    once = fitted(open_samples(write_npy(tmp_path, X), weight=WEIGHTS))
    means = [np.sort(mixture.means_, axis=0) for mixture in (repeated, once)]
    assert np.allclose(*means, rtol=1e-5)
    assert repeated.lower_bound_ == pytest.approx(once.lower_bound_, rel=1e-9)


def test_columns_are_chosen_by_number_and_by_name(tmp_path):
    for source in (
        open_samples(write_npy(tmp_path, X), columns=[2, 0]),
        open_samples(write_parquet(tmp_path, X), columns=["blue", "red"]),
    ):
        assert np.array_equal(source.arrays()[0], X[:, [2, 0]])
    np.savetxt(tmp_path / "x.csv", X[:9], delimiter=";", header="red;green;blue", comments="")
    assert np.allclose(open_samples(tmp_path / "x.csv", columns=["blue", 0]).arrays()[0], X[:9, [2, 0]])
    np.savetxt(tmp_path / "y.tsv", X[:9], delimiter="\t")
    found = open_samples(tmp_path / "y.tsv", columns=[2], weight=np.ones(9))
    assert np.allclose(found.arrays()[0], X[:9, [2]])


def test_a_csv_file_may_hold_text_in_columns_that_are_not_wanted(tmp_path):
    (tmp_path / "x.csv").write_text('name,a,b\n"Mayer, Anna",1,2\nBo,3,4\n')
    with pytest.raises(DataError, match="'name'"):
        open_samples(tmp_path / "x.csv")
    found = open_samples(tmp_path / "x.csv", columns=["a", "b"]).arrays()[0]
    assert found.tolist() == [[1, 2], [3, 4]]


def test_references_to_files_are_picklable_and_small(tmp_path):
    for kind in ("npy", "parquet", "zarr"):
        reader = open_samples(KINDS[kind](tmp_path, X)).reader
        text = pickle.dumps(reader)
        assert len(text) < 3000
        assert np.array_equal(pickle.loads(text).read((60_000, N)).X, X[60_000:])


def test_few_distinct_rows_are_fitted_like_in_memory(tmp_path):
    Y = np.repeat(np.array([[0.0, 1.0], [5.0, 5.0]]), 20_000, axis=0)
    assert bits(fitted(open_samples(write_npy(tmp_path, Y)))) == bits(fitted(Y))


def test_other_families_fit_from_files_too(tmp_path):
    ones = (X > 4).astype(np.float32)
    source = open_samples(write_npy(tmp_path, ones))
    found = BernoulliMixture(2, random_state=0, tol=1e-3).fit(ones)
    again = BernoulliMixture(2, random_state=0, tol=1e-3).fit(source)
    assert np.array_equal(again.probabilities_, found.probabilities_)
    raw = open_samples(write_npy(tmp_path, X))
    again = BernoulliMixture(2, random_state=0, tol=1e-3, binarize=4).fit(raw)
    assert np.array_equal(again.probabilities_, found.probabilities_)
    assert np.array_equal(again.predict(raw), found.predict(ones))


def test_functions_of_the_library_take_sources(tmp_path):
    source = open_samples(write_npy(tmp_path, X))
    in_memory = fit_mixture(Samples.of(X), 3, max_iter=4)
    found = fit_mixture(source, 3, max_iter=4)
    assert found.log_likelihood == in_memory.log_likelihood
    assert Gaussian.of(source).reg_covar == Gaussian.of(Samples.of(X)).reg_covar


@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS * np.pi])
def test_the_subsample_is_the_same_from_a_file(weights, tmp_path):
    source = open_samples(write_npy(tmp_path, X), weight=weights)
    parts = [subsample(s, 500, np.random.default_rng(3)) for s in (source, Samples.of(X, weights))]
    assert np.array_equal(parts[0].X, parts[1].X)
    assert np.array_equal(parts[0].sample_weight, parts[1].sample_weight)


def bad_npy(folder, edit):
    data = bytearray(write_npy(folder, X[:100]).read_bytes())
    (folder / "x.npy").write_bytes(edit(data))
    return folder / "x.npy"


def bad_csv(folder, text):
    (folder / "x.csv").write_bytes(text)
    return folder / "x.csv"


def bad_array(folder, array):
    np.save(folder / "x.npy", array, allow_pickle=True)
    return folder / "x.npy"


BAD = {
    "missing": (lambda f: f / "none.npy", "none.npy: no such file"),
    "unknown": (lambda f: bad_csv(f, b"1,2\n").rename(f / "x.xlsx"), "x.xlsx: not a kind of table"),
    "cut off": (lambda f: bad_npy(f, lambda d: d[:-8]), "x.npy: cut off: 100 rows need"),
    "no header": (lambda f: bad_npy(f, lambda d: d[:20]), "x.npy: not an .npy file"),
    "no npy": (lambda f: bad_npy(f, lambda d: b"hello world" * 9), "x.npy: not an .npy file"),
    "object": (lambda f: bad_array(f, np.array([[1, "a"]], dtype=object)), "x.npy: holds object"),
    "text": (lambda f: bad_array(f, np.array([["a", "b"]])), "x.npy: holds <U1"),
    "three": (lambda f: bad_array(f, np.zeros((3, 3, 3))), r"shape \(3, 3, 3\)"),
    "empty": (lambda f: bad_array(f, np.zeros((0, 3))), r"shape \(0, 3\)"),
    "complex": (lambda f: bad_array(f, np.zeros((2, 3), complex)), "holds complex128"),
    "ragged": (lambda f: bad_csv(f, b"a,b\n1,2\n3,4,5\n"), "line 3: has 3 fields, the first line 2"),
    "short": (lambda f: bad_csv(f, b"1,2\n3\n"), "line 2: has 1 fields"),
    "word": (lambda f: bad_csv(f, b"a,b\n1,2\n3,oops\n"), "line 3: column 'b' holds 'oops'"),
    "gap": (lambda f: bad_csv(f, b"a,b\n1,2\n3,\n"), "line 3: column 'b' holds ''"),
    "hole": (lambda f: bad_csv(f, b"1,2\n\n3,4\n"), "line 2: has 1 fields"),
    "no rows": (lambda f: bad_csv(f, b"a,b\n"), "x.csv: has no rows"),
    "no bytes": (lambda f: bad_csv(f, b""), "x.csv: is empty"),
    "binary": (lambda f: bad_csv(f, bytes(range(256)) * 4), "x.csv"),
    "npz": (lambda f: bad_csv(f, b"PK no").rename(f / "x.npz"), "x.npz: not an .npz file"),
    "parquet": (lambda f: bad_csv(f, b"PAR1").rename(f / "x.parquet"), "x.parquet: not a Parquet file"),
    "zarr": (lambda f: bad_csv(f, b"1").rename(f / "x.zarr"), "x.zarr: not a Zarr array"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_by_name(name, tmp_path):
    if name in ("parquet", "zarr"):
        pytest.importorskip({"parquet": "pyarrow"}.get(name, name))
    make, message = BAD[name]
    with pytest.raises(DataError, match=message):
        open_samples(make(tmp_path))


def test_wrong_columns_are_refused_with_the_names_there_are(tmp_path):
    path = write_parquet(tmp_path, X[:50])
    with pytest.raises(DataError, match=r"no column 'yellow'.*red, green, blue"):
        open_samples(path, columns=["yellow"])
    with pytest.raises(DataError, match="no column 7"):
        open_samples(write_npy(tmp_path, X[:50]), columns=[7])
    with pytest.raises(DataError, match="no column 'w'"):
        open_samples(path, weight="w")
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        open_samples(path, weight=np.ones(3))


def test_a_bad_value_is_refused_with_its_file_and_row(tmp_path):
    Y = X.copy()
    Y[65_000, 1] = np.nan
    with pytest.raises(DataError, match=r"x\.npy, row 65000: column 1 is nan"):
        fitted(open_samples(write_npy(tmp_path, Y)))
    with pytest.raises(DataError, match=r"part2\.npy, row 35000: column 1 is nan"):
        fitted(open_samples(write_list(tmp_path, Y)))
    with pytest.raises(DataError, match=r"x\.parquet, row 65000: column 'green' is nan"):
        fitted(open_samples(write_parquet(tmp_path, Y)))
    bad = WEIGHTS.copy()
    bad[60_000] = -1
    with pytest.raises(DataError, match=r"x\.npy, row 60000: the weight is -1"):
        fitted(open_samples(write_npy(tmp_path, X), weight=bad))
    with pytest.raises(DataError, match="every weight is zero"):
        fitted(open_samples(write_npy(tmp_path, X), weight=np.zeros(N)))
    (tmp_path / "n.csv").write_text("a,b\n1,2\n3,nan\n5,6\n")
    with pytest.raises(DataError, match=r"n\.csv, line 3: column 'b' is nan"):
        fitted(open_samples(tmp_path / "n.csv"))


def test_a_missing_chunk_is_refused_not_read_as_zeros(tmp_path):
    path = write_zarr(tmp_path, X)
    chunk = sorted(p for p in (path / "c").rglob("*") if p.is_file())[3]
    chunk.unlink()
    with pytest.raises(DataError, match=r"x\.zarr: 1 of 16 chunks are missing"):
        open_samples(path)


def test_a_damaged_chunk_is_an_error_that_names_file_and_rows(tmp_path):
    path = write_zarr(tmp_path, X)
    source = open_samples(path)
    chunk = max((p for p in (path / "c").rglob("*") if p.is_file()), key=str)
    chunk.write_bytes(b"garbage")
    with pytest.raises(DataError, match=r"x\.zarr, rows 0 to 70000: cannot be read"):
        fitted(source)


def test_a_file_that_changes_between_passes_is_refused(tmp_path):
    path = write_npy(tmp_path, X)
    source = open_samples(path)
    assert source.total_weight == N
    np.save(path, X + 1)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match=r"x\.npy: changed while it was being read"):
        fitted(source)


def test_a_missing_library_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"pip install 'segment-em\[scale\]'"):
        open_samples(tmp_path / "x.parquet")


def test_files_of_a_list_must_be_of_one_kind(tmp_path):
    np.save(tmp_path / "a.npy", X[:5])
    np.save(tmp_path / "b.npy", X[:5, :2])
    with pytest.raises(DataError, match=r"b\.npy: has 2 columns, .*a\.npy has 3 columns"):
        open_samples([tmp_path / "a.npy", tmp_path / "b.npy"])


def test_a_resumed_fit_reads_its_passes_from_the_journal(tmp_path, plain):
    source = open_samples(write_npy(tmp_path, X))
    path = tmp_path / "fit.ckpt"
    assert bits(fitted(source, checkpoint=path)) == bits(plain)
    whole = path.read_bytes()
    # Broken off after any number of bytes, the end is the same.
    for size in (len(whole), len(whole) - 1, len(whole) // 2, 2000):
        path.write_bytes(whole[:size])
        assert bits(fitted(open_samples(tmp_path / "x.npy"), checkpoint=path, resume=True)) == bits(plain)
        assert path.read_bytes() == whole
    assert bits(fitted(X, checkpoint=tmp_path / "m.ckpt")) == bits(plain)
    assert bits(fitted(X, checkpoint=tmp_path / "m.ckpt", resume=True)) == bits(plain)


def test_a_resumed_fit_computes_nothing_twice(tmp_path):
    fitted(X, checkpoint=tmp_path / "c")
    journal_passes = []
    original = Samples.reduce

    def counted(self, function, **options):
        if self.n_samples == N:
            journal_passes.append(function)
        return original(self, function, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Samples, "reduce", counted)
        fitted(X, checkpoint=tmp_path / "c", resume=True)
    assert journal_passes == []


@pytest.mark.parametrize("damage", [lambda d: b"", lambda d: b"nothing" * 9, lambda d: d[:30]])
def test_a_file_that_is_no_checkpoint_is_refused(damage, tmp_path):
    fitted(X[:1000], checkpoint=tmp_path / "c")
    (tmp_path / "c").write_bytes(damage((tmp_path / "c").read_bytes()))
    with pytest.raises(ModelError, match="no checkpoint"):
        fitted(X[:1000], checkpoint=tmp_path / "c", resume=True)


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    fitted(X[:1000], checkpoint=tmp_path / "c")
    with pytest.raises(ModelError, match=r"another fit \(tol differ\)"):
        fitted(X[:1000], tol=0.5, checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(ModelError, match="samples differ"):
        fitted(X[1:1001], checkpoint=tmp_path / "c", resume=True)
    with pytest.raises(DataError, match="random_state is None"):
        GaussianMixture(2).fit(X[:99], checkpoint=tmp_path / "d")


def test_a_bit_that_has_turned_costs_what_came_after_it_only(tmp_path, plain):
    fitted(X, checkpoint=tmp_path / "c")
    data = bytearray((tmp_path / "c").read_bytes())
    data[-300] ^= 1
    (tmp_path / "c").write_bytes(data)
    assert bits(fitted(X, checkpoint=tmp_path / "c", resume=True)) == bits(plain)


def test_every_kind_of_sum_survives_the_journal(tmp_path):
    samples = Samples.of(X[:500])
    found = {}
    values = [1.5, float("inf"), (1, [np.float32(2), "a", None]), {"k": np.arange(3)}, True]
    for resume in (False, True):
        journal = Journal(samples, tmp_path / "c", {}, resume=resume)
        found[resume] = [
            journal._noted(str(i), (lambda v=v: v) if not resume else None) for i, v in enumerate(values)
        ]
    assert repr(found[True]) == repr(found[False])


def test_killed_at_any_time_a_fit_resumes_to_the_same_bits(tmp_path, plain):
    write_npy(tmp_path, X)
    script = tmp_path / "fit.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, sys, signal
            from segment import GaussianMixture, open_samples
            from segment.data.journal import Journal
            append, left = Journal._append, int(sys.argv[1])
            def counted(self, key, value):
                global left
                append(self, key, value)
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            Journal._append = counted
            GaussianMixture(3, random_state=0, max_iter=5).fit(
                open_samples({str(tmp_path / "x.npy")!r}), checkpoint={str(tmp_path / "c")!r}, resume=True)
            """
        )
    )
    done = subprocess.run([sys.executable, script, "5"], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert bits(fitted(open_samples(tmp_path / "x.npy"), checkpoint=tmp_path / "c", resume=True)) == bits(
        plain
    )


@contextmanager
def suppress_naming(name):
    """Let errors of the package pass that name a file; no others."""
    try:
        yield
    except DataError as error:
        if name not in str(error):
            raise AssertionError(f"{error} does not name {name}") from error


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_refused_or_read_alike(seed, tmp_path):
    """Fuzz by value: whatever is turned in a file, what is read is finite and of the shape that is named."""
    rng = np.random.default_rng(seed)
    for kind in ("npy", "npz", "parquet"):
        path = KINDS[kind](tmp_path, X[:3000])
        data = bytearray(path.read_bytes())
        for place in rng.integers(0, len(data), 3):
            data[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)] if seed % 2 else data)
        with suppress_naming(path.name):
            source = open_samples(path)
            rows, weights = source.arrays()
            assert rows.shape == (source.n_samples, source.n_features)
            assert len(weights) == source.n_samples
            assert np.isfinite(rows).all()


def test_opening_costs_no_memory_of_the_size_of_the_file(tmp_path):
    path = tmp_path / "big.npy"
    big = np.lib.format.open_memmap(path, "w+", np.float32, (50_000_000, 3))
    del big
    start = time.perf_counter()
    assert open_samples(path).n_samples == 50_000_000
    assert time.perf_counter() - start < 1
