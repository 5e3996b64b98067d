"""`segment table`: cluster the rows of tables of any size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import (
    CountOrAuto,
    cluster_of,
    complete_files,
    dask_option,
    live_line,
    output_option,
    print_json,
    reports_errors,
    say,
    shared_options,
)
from segment.errors import OutputError

if TYPE_CHECKING:
    from segment.data.source import Source

OUTPUTS = ("model", "labels", "probabilities", "scores")
COVARIANCE_TYPES = ("full", "diag", "tied", "spherical")
CRITERIA = ("bic", "icl")


def parse_outputs(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Turn "model,labels" into a tuple; a usage error names what is allowed."""
    kinds = tuple(dict.fromkeys(part.strip().lower() for part in value.split(",") if part.strip()))
    kinds = OUTPUTS if kinds == ("all",) else kinds
    if unknown := [kind for kind in kinds if kind not in OUTPUTS]:
        raise click.BadParameter(f"{', '.join(unknown)}; allowed are {', '.join(OUTPUTS)} and all")
    return kinds


def parse_columns(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """Turn "red,green,2" into a list."""
    if value is None:
        return None
    columns = [part.strip() for part in value.split(",") if part.strip()]
    if not columns:
        raise click.BadParameter("no column; give names, or numbers from 0: --columns red,green,2")
    return columns


@click.command()
@click.argument("files", nargs=-1, required=True, shell_complete=complete_files)
@click.option(
    "-k",
    "--components",
    "n_components",
    type=CountOrAuto(),
    default="auto",
    show_default=True,
    help="Number of components; auto chooses it from 1 to 12.",
)
@click.option(
    "--columns",
    callback=parse_columns,
    metavar="A,B,C",
    help="The features, by name, or by number from 0.  [default: all but --weight]",
)
@click.option("--weight", metavar="COLUMN", help="Column that says how often each row counts.")
@click.option(
    "--covariance-type",
    type=click.Choice(COVARIANCE_TYPES),
    default="full",
    show_default=True,
    help="full: any ellipsoid; diag: along the axes; tied: one for all; spherical: a ball each.",
)
@click.option(
    "--criterion",
    type=click.Choice(CRITERIA),
    default="bic",
    show_default=True,
    help="By what auto chooses: bic counts the Gaussians a density needs, icl clusters that stand apart.",
)
@click.option(
    "--tol",
    type=click.FloatRange(0),
    default=1e-5,
    show_default=True,
    help="EM ends when a step gains less than this per row (nats).",
)
@click.option(
    "--max-iter",
    type=click.IntRange(1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Most steps of EM.",
)
@click.option(
    "--save",
    "kinds",
    callback=parse_outputs,
    default="model,labels",
    show_default=True,
    metavar="A,B,C|all",
    help=f"Outputs: {', '.join(OUTPUTS)}.",
)
@dask_option("Run the passes")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write what every pass finds, so that a broken-off fit can go on.",
)
@click.option("--resume", is_flag=True, help="Go on from --checkpoint, if it is there.")
@output_option("outputs/table")
@shared_options("seed", "jobs", "force", "json", "quiet", "verbose")
@reports_errors
def table(files: tuple[str, ...], **options: Any) -> None:
    """Cluster the rows of FILES (.npy, .npz, .csv, .parquet, .zarr) of any size by a Gaussian mixture.

    Rows are read in blocks: they need not fit into memory. Several files are one table, one after the other.
    Beside the outputs lies a JSON file with the components and all settings.
    """
    from segment.data.rows import suffix_of
    from segment.table.write import output_paths

    if options["resume"] and options["checkpoint"] is None:
        raise click.UsageError("--resume needs --checkpoint FILE, the file to go on from")
    suffix = suffix_of(files[0])
    stem = Path(files[0]).stem
    paths = output_paths(options["output"], stem, suffix, options["kinds"])
    sidecar = options["output"] / f"{stem}.json"
    _refuse_overwriting([*paths.values(), sidecar], options["force"])
    with cluster_of(options["dask"]) as client:
        _run(files, suffix, paths, sidecar, client, options)


def _refuse_overwriting(paths: list[Path], force: bool) -> None:
    found = [str(path) for path in paths if path.exists()]
    if found and not force:
        raise OutputError(f"{', '.join(found)}: exists; give --force to overwrite, or another -o")


def _run(
    files: tuple[str, ...],
    suffix: str,
    paths: dict[str, Path],
    sidecar: Path,
    client: Any,
    options: dict[str, Any],
) -> None:
    from segment.output import write_json
    from segment.table.describe import lines, summarize
    from segment.table.fit import TableSettings, cluster_table
    from segment.table.write import write_outputs

    began, quiet = time.perf_counter(), options["quiet"]
    names = ("n_components", "covariance_type", "criterion", "tol", "max_iter")
    settings = TableSettings(random_state=options["seed"], **{name: options[name] for name in names})
    notify = _told(quiet, options["verbose"])
    notify("opening")
    source = _opened(files, settings.as_dict(), client, options)
    if not quiet:
        weighted = ", weighted" if source.is_weighted else ""
        say(f"{files[0]}: {source.n_samples} rows of {source.n_features} features, {source.dtype}{weighted}")
    clustering = cluster_table(source, settings, n_jobs=options["jobs"], notify=notify)
    write_outputs(clustering, paths, suffix, n_jobs=options["jobs"], notify=notify)
    summary = summarize(clustering, list(files), paths, time.perf_counter() - began)
    write_json(sidecar, summary)
    live_line.show("")
    if not quiet:
        for line in lines(clustering):
            say(line)
        result = clustering.result
        say(
            f"{'converged' if result.converged else 'not converged'} after {result.n_iter} steps, "
            f"lower bound {result.lower_bound:.6g}, BIC {summary['bic']:.6g}; look at {sidecar}"
        )
    if options["as_json"]:
        print_json(summary, indent=2)


def _told(quiet: bool, verbose: bool) -> Any:
    """Return what is called with news: a line each if `verbose`, else one that is replaced."""
    if quiet:
        return lambda text: None
    return say if verbose else lambda text: live_line.show(f"{text} ...")


def _opened(files: tuple[str, ...], settings: dict[str, Any], client: Any, options: dict[str, Any]) -> Source:
    from segment.data import open_samples
    from segment.data.journal import Journal

    found = files[0] if len(files) == 1 else list(files)
    source = open_samples(found, columns=options["columns"], weight=options["weight"], client=client)
    if options["checkpoint"] is None:
        return source
    return Journal(source, options["checkpoint"], settings, resume=options["resume"])
