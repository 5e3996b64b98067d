"""`segment digits` and `segment digits-predict`: cluster handwritten digits, label new ones."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import (
    EXIT_FAILED,
    EXIT_SOME_FAILED,
    CountOrAuto,
    complete_files,
    live_line,
    output_option,
    print_json,
    print_line,
    reports_errors,
    say,
    say_error,
    say_warning,
    shared_options,
)
from segment.errors import OutputError, SegmentError

if TYPE_CHECKING:
    from segment.digits.model import DigitModel
    from segment.digits.new_images import NewImages

FEATURES = ("scattering", "deskew", "pixels")
REFINEMENTS = ("consensus", "graph", "none")
# What digits-predict notes of an image.
NO_INK, UNLIKE = "no ink", "unlike the digits fitted"
_count = click.IntRange(min=1)


class Stages:
    """Times the stages of a run, and shows them: a line each, and in a terminal their share as it grows."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}
        self._name, self._begun = "", time.perf_counter()

    def __call__(self, name: str, share: float = 0.0) -> None:
        """Note that stage `name` has begun, or that `share` of it is done."""
        if name != self._name:
            self.end()
            self._name, self._begun = name, time.perf_counter()
        if not self.quiet:
            live_line.show(f"{name} {share:4.0%} ...")

    def end(self) -> None:
        """Note that the last stage has ended."""
        if not self._name:
            return
        taken = time.perf_counter() - self._begun
        self.seconds[self._name] = round(taken, 2)
        if not self.quiet:
            say(f"{self._name:<12} {taken:6.1f} s")
        self._name = ""


@click.command()
@click.option(
    "--data",
    metavar="NAME|PATH",
    shell_complete=complete_files,
    help="mnist, fashion-mnist, kmnist, digits (8 x 8, bundled), a folder with IDX files, an IDX file "
    "or an .npz.  [default: mnist; digits if it cannot be had]",
)
@click.option(
    "--split",
    type=click.Choice(("all", "train", "train-test")),
    default="all",
    show_default=True,
    help="What to fit on; train-test scores on the part kept apart.",
)
@click.option("--limit", type=_count, metavar="N", help="Use only N images, evenly spread.")
@click.option(
    "--features",
    type=click.Choice(FEATURES),
    default="scattering",
    show_default=True,
    help="What describes a digit: its scattering transform (deskewed), deskewed pixels, or its pixels.",
)
@click.option(
    "--pca",
    "n_features",
    type=_count,
    metavar="D",
    help="Principal components.  [default: 200 scattering, 30 deskew, 50 pixels]",
)
@click.option(
    "--covariance",
    "covariance_type",
    type=click.Choice(("full", "diag", "tied", "spherical")),
    default="full",
    show_default=True,
    help="Shape of the clusters: any ellipsoid, axes-parallel, all alike, or spheres.",
)
@click.option(
    "-k",
    "--clusters",
    "n_clusters",
    type=CountOrAuto(),
    default=10,
    show_default=True,
    help="Clusters; auto finds their number from 2 to 20, by how stable the consensus is.",
)
@click.option(
    "--components",
    "n_components",
    type=_count,
    metavar="M",
    help="Components of the mixture, merged to the clusters.  [default: one a cluster]",
)
@click.option(
    "--merge",
    type=click.Choice(("overlap", "demp", "entropy")),
    default="overlap",
    show_default=True,
    help="Merge the components that overlap most, that would err most (demp), or whose merging lowers the "
    "entropy most.",
)
@click.option(
    "--refine",
    type=click.Choice(REFINEMENTS),
    default="graph",
    show_default=True,
    help="Agree on many clusterings of four views of each digit, the mixture one candidate beside them "
    "(consensus); or cut the graph of nearest neighbors, starting from the mixture; none keeps the mixture's "
    "clusters.",
)
@click.option(
    "--n-init",
    type=_count,
    metavar="N",
    help="Starts to choose from.  [default: 32; 6 for more than 20 components]",
)
@click.option(
    "--save-model",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the fitted model (.npz) for digits-predict.",
)
@output_option("outputs/digits")
@shared_options("seed", "jobs", "force", "json", "quiet", "verbose")
@reports_errors
def digits(**options: Any) -> None:
    """Cluster handwritten digits without seeing a label; then score against the labels, if there are any.

    The settings were found on MNIST with the accuracy in view; no label is used in a run.
    """
    from segment.digits.cluster import DigitSettings, cluster_digits
    from segment.digits.digit_set import load_digits
    from segment.digits.write import summarize, write_outputs

    output, model_path, quiet = options["output"], options["save_model"], options["quiet"]
    _refuse_overwriting([output / "digits.json", *([model_path] if model_path else [])], options["force"])
    names = (
        "features",
        "n_features",
        "covariance_type",
        "n_clusters",
        "n_components",
        "merge",
        "refine",
        "n_init",
    )
    settings = DigitSettings(random_state=options["seed"], **{name: options[name] for name in names})
    found = load_digits(options["data"], progress=not quiet and sys.stderr.isatty())
    if not quiet:
        if options["data"] is None and found.name == "digits":
            say(
                "MNIST is not at hand and could not be fetched: clustering the 8 x 8 digits bundled with "
                "scikit-learn"
            )
        say(f"{found.name}: {len(found.images)} images of {found.images.shape[1]} x {found.images.shape[2]}")
    stages = Stages(quiet)
    chosen = found.limited(options["limit"])
    clustering = cluster_digits(chosen, settings, split=options["split"], n_jobs=options["jobs"], step=stages)
    stages.end()
    summary = summarize(clustering, settings, split=options["split"], seconds=dict(stages.seconds))
    stages("files")
    write_outputs(clustering, summary, output)
    if model_path:
        clustering.model.save(model_path)
    stages.end()
    if not quiet:
        _say_summary(summary, output, options["verbose"])
    if options["as_json"]:
        print_json(summary, indent=2)


def _refuse_overwriting(paths: list[Path], force: bool) -> None:
    found = [str(path) for path in paths if path.exists()]
    if found and not force:
        raise OutputError(f"{', '.join(found)}: exists; give --force to overwrite, or another -o")


def _say_summary(summary: dict[str, Any], output: Path, verbose: bool) -> None:
    if summary["accuracy"] is None:
        say(f"clusters of {', '.join(map(str, summary['cluster_sizes']))} images; without labels, no score")
    else:
        on = "of the images kept apart" if summary["split"] == "train-test" else "after matching"
        say(
            f"accuracy {summary['accuracy']:.4f} {on}, NMI {summary['nmi']:.4f}, ARI {summary['ari']:.4f}; "
            f"the mixture alone, on the images fitted: {summary['mixture']['accuracy']:.4f}"
        )
    _say_choices(summary)
    if verbose:
        bounds = [f"{run['lower_bound']:.3f}" for run in summary["restarts"] if run["rounds"] > 1]
        say(f"{len(summary['restarts'])} starts; lower bounds of those that went on: {', '.join(bounds)}")
        say(f"EM: {summary['n_iter']} steps, lower bound {summary['lower_bound']:.4f}")
        by = "" if summary["mapping"] is None else ", by matched digit"
        say(f"clusters{by}: {', '.join(_matched(summary))}")
    say(f"look at {output / 'samples.png'}, and at the others beside it")


def _say_choices(summary: dict[str, Any]) -> None:
    """Say what the graph alone has chosen: the number of clusters, and the candidate."""
    number, found = summary.get("number_of_clusters"), summary.get("consensus")
    if number:
        say(
            f"{number['chosen']} clusters: so say {number['sureness']:.0%} of the panels of members "
            "(number_of_clusters.png)"
        )
    if summary.get("graph", {}).get("neighbors") == "approximate":
        say("so many digits that their neighbors were found approximately")
    if found:
        told = found["information"][found["taken"]]
        say(
            f"taken: {found['taken']}, which tells {told:.4f} nats along the edges; the best of "
            f"{len(found['information'])} candidates tells {max(found['information'].values()):.4f}, their "
            f"rounds differ by {found['spread']:.4f}; members agree with {found['mean_confidence']:.1%} of "
            "the labels"
        )


def _matched(summary: dict[str, Any]) -> list[str]:
    if summary["mapping"] is None:
        return [f"#{k} ({size})" for k, size in enumerate(summary["cluster_sizes"])]
    mapping = ["left over" if digit < 0 else digit for digit in summary["mapping"]]
    return [
        f"{digit} ({size})"
        for digit, size in sorted(zip(map(str, mapping), summary["cluster_sizes"], strict=True))
    ]


@click.command("digits-predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@shared_options("jobs", "json", "quiet")
@reports_errors
def predict(model: Path, images: tuple[Path, ...], jobs: int, as_json: bool, quiet: bool) -> None:
    """Label new digits (PNG and other images, IDX files) with a MODEL that --save-model wrote.

    A line a digit on stdout: file, number in the file, matched digit, cluster, probability; where it has no
    ink, or is less likely than all but one in a thousand of the digits fitted, that is said too. A sheet is
    cut into its digits, in rows from left to right; every page of a file is read.
    """
    from segment.digits.model import load_model
    from segment.digits.new_images import read_new_images

    fitted = load_model(model)
    rows: list[dict[str, Any]] = []
    failed = 0
    for path in images:
        try:
            new = read_new_images(path)
            found = _rows(path, new, fitted, jobs)
        except SegmentError as error:
            say_error(error)
            failed += 1
            continue
        rows += found
        if not quiet:
            _say_found(path, new.n_pages, new.is_cut, found)
    if as_json:
        print_json(rows, indent=2)
    elif not quiet:
        for row in rows:
            print_line(_line(row))
    if failed:
        sys.exit(EXIT_FAILED if failed == len(images) else EXIT_SOME_FAILED)


def _rows(path: Path, new: NewImages, model: DigitModel, jobs: int) -> list[dict[str, Any]]:
    """Return what is said of each image; one without ink belongs to no cluster."""
    clusters, probabilities, is_like = model.recognize(new.images, jobs)
    rows: list[dict[str, Any]] = []
    for i, has_ink in enumerate(new.has_ink):
        row = {"file": path, "index": i, "page": int(new.pages[i])}
        if has_ink:
            digit = int(model.mapping[clusters[i]])
            rows.append(
                row
                | {
                    "digit": None if digit < 0 else digit,
                    "cluster": int(clusters[i]),
                    "probability": round(float(probabilities[i]), 6),
                    "note": None if is_like[i] else UNLIKE,
                }
            )
        else:
            rows.append(row | dict.fromkeys(("digit", "cluster", "probability")) | {"note": NO_INK})
    return rows


def _say_found(path: Path, n_pages: int, is_cut: bool, rows: list[dict[str, Any]]) -> None:
    """Say what a file was taken for, and warn of what is no digit in it."""
    if is_cut:
        pages = f" on {n_pages} pages" if n_pages > 1 else ""
        say(f"{path}: a sheet of {len(rows)} digits{pages}, read in rows from left to right")
    for note, consequence in ((NO_INK, "they have no label"), (UNLIKE, "their labels mean little")):
        indices = [i for i, row in enumerate(rows) if row["note"] == note]
        if indices:
            found = f"{note} in {len(indices)} of {len(rows)} images, the first [{indices[0]}]"
            say_warning(f"{path}: {found}: {consequence}")


def _line(row: dict[str, Any]) -> str:
    """Return the line that is printed for an image."""
    where = f"{row['file']} [{row['index']}]"
    if row["cluster"] is None:
        return f"{where}: {row['note']}"
    digit = "unmatched" if row["digit"] is None else row["digit"]
    note = f"; {row['note']}" if row["note"] else ""
    return f"{where}: {digit} (cluster {row['cluster']}, probability {row['probability']:.3f}{note})"
