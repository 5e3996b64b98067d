"""One photo and one output: `-o out.png` names the file itself, `-o -` standard output."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import is_given, spelled_option
from segment.cli.photo_run import Plan, run_job
from segment.cli.photo_tiles import SELECTING
from segment.errors import OutputError, SegmentError
from segment.photo.outputs import SIDECAR, endings_of, kinds_of

if TYPE_CHECKING:
    from segment.photo.batch import Job

STDOUT = Path("-")


@dataclass(frozen=True)
class Target:
    """Where the only output goes.

    Attributes
    ----------
    path : Path
        A file, or - for standard output.
    kind : str
    """

    path: Path
    kind: str

    def write(self, job: Job, plan: Plan) -> None:
        """Segment a photo and write its output."""
        from segment.photo.batch import is_among

        to_stdout = self.path == STDOUT
        if not to_stdout and is_among(self.path, plan.inputs):
            raise OutputError(f"{self.path}: would replace an input; choose another name with -o")
        if not to_stdout and self.path.exists() and not plan.force:
            raise OutputError(
                f"{self.path}: exists already; allow overwriting with --force, or choose another"
            )
        try:
            if not to_stdout:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            # Beside the target, so that renaming moves nothing between disks.
            with tempfile.TemporaryDirectory(
                prefix=".segment-", dir=None if to_stdout else self.path.parent
            ) as folder:
                stem = Path(folder) / ("photo" if to_stdout else self.path.stem)
                run_job(replace(job, stem=stem), replace(plan, kinds=(self.kind,), target=self.path))
                self._deliver(next(Path(folder).iterdir()))
        except SegmentError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"{self.path}: cannot be written ({reason}); choose another name") from error

    def _deliver(self, written: Path) -> None:
        if self.path == STDOUT:
            sys.stdout.buffer.write(written.read_bytes())
            sys.stdout.buffer.flush()
        elif written.suffix != self.path.suffix.lower():
            raise OutputError(f"{self.path}: {self.kind} of so many labels is a {written.suffix} file")
        else:
            os.replace(written, self.path)


def target_of(ctx: click.Context, options: dict[str, Any], method: str, n_inputs: int) -> Target | None:
    """Return the file that -o names; None if it names a folder.

    Raises
    ------
    click.UsageError
        If it names a file, but there are several inputs or outputs, or an output of another kind of file.
    """
    path = options["output"]
    is_file = path == STDOUT or (path.suffix.lower() in _SUFFIXES and not path.is_dir())
    if not is_file:
        return None
    for name in ("watch", "shared", "skip_existing", *SELECTING, "memory"):
        if is_given(ctx, name):
            raise click.UsageError(f"{spelled_option(ctx, name)} needs a folder for -o; {path} is a file")
    if n_inputs > 1:
        raise click.UsageError(f"-o {path} is one file, but there are {n_inputs} inputs: name a folder")
    if path == STDOUT and options["as_json"]:
        raise click.UsageError("-o - and --json both write to standard output: leave one out")
    if is_given(ctx, "kinds"):
        return Target(path, _asked(options["kinds"], path, method))
    if path == STDOUT or path.suffix.lower() == ".png":
        return Target(path, "segmented")
    fitting = [kind for kind, suffix in _single(method) if suffix == path.suffix.lower()]
    if len(fitting) != 1:
        which = f"say which with --save: {', '.join(fitting)}" if fitting else "name a folder"
        raise click.UsageError(
            f"-o {path}: {len(fitting) or 'no'} outputs of {method} are {path.suffix} files; {which}"
        )
    return Target(path, fitting[0])


def _single(method: str) -> list[tuple[str, str]]:
    """Return the kinds of output that are one file, and its suffix."""
    endings = [(kind, endings_of(kind)) for kind in kinds_of(method) if kind != SIDECAR]
    # Label maps are of one kind of file or another, never of both.
    single = [(kind, has[0]) for kind, has in endings if len(has) == 1 or kind == "labels"]
    return [(kind, ending[ending.rindex(".") :]) for kind, ending in single if "*" not in ending]


def _asked(text: str, path: Path, method: str) -> str:
    """Return the only kind that --save names."""
    from segment.photo.outputs import parse_kinds

    try:
        kinds = parse_kinds(text, method)
    except SegmentError as error:
        raise click.BadParameter(str(error), param_hint="--save") from error
    allowed = dict(_single(method))
    if len(kinds) != 1 or kinds[0] not in allowed:
        raise click.UsageError(
            f"-o {path} is one file: ask for one of {', '.join(allowed)} (not {text}), or name a folder"
        )
    suffix = allowed[kinds[0]]
    if path != STDOUT and path.suffix.lower() != suffix:
        raise click.UsageError(f"-o {path}: {kinds[0]} is a {suffix} file")
    return kinds[0]


# A name with one of these is that of a file, where it is no folder already.
_SUFFIXES = frozenset({".png", ".svg", ".npz", ".tif", ".html", ".json", ".geojson", ".pdf", ".csv"})
