"""Folders of photos: what in them was left out, and photos that arrive in them while they are watched."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from segment.cli.common import say, say_error
from segment.cli.photo_run import Plan, attempted, files_read, run_job
from segment.errors import DataError
from segment.output import Stamp, stamp_of

if TYPE_CHECKING:
    from pathlib import Path

    from segment.photo.batch import Job
    from segment.photo.inputs import Input, Inputs

EXTRA = "pip install 'segment-em[watch]'"

watch_option = click.option(
    "--watch",
    is_flag=True,
    help="Go on: segment photos as they arrive in the folders, once they are complete, until Ctrl-C (exit "
    "code 0, or 3 where a photo failed).",
)

# So many skipped files are named without -v.
NAMED = 3

# A file is complete once neither its size nor its time has changed for so many seconds.
SETTLED = 0.6

_POLL_MS = 300


def tell_skipped(skipped: list[str], verbose: bool) -> None:
    """Say how many files of the folders are no photos, and name the first of them, or all."""
    if not skipped:
        return
    shown = skipped if verbose else skipped[:NAMED]
    more = f" and {len(skipped) - len(shown)} more (-v names all)" if len(shown) < len(skipped) else ""
    files = "1 file that is no photo" if len(skipped) == 1 else f"{len(skipped)} files that are no photos"
    say(f"skipped {files}: {', '.join(map(os.path.basename, shown))}{more}")


def check_watching(options: dict[str, Any]) -> None:
    """Refuse to watch what is no folder, or photos that must all be there first, with a usage error."""
    if options["shared"]:
        raise click.UsageError("--shared needs all photos before the first is labeled: leave --watch out")
    for text in options["inputs"]:
        if not os.path.isdir(text):
            raise click.UsageError(f"--watch takes folders; {text} is none")
    if find_spec("watchfiles") is None:
        raise DataError(f"--watch needs watchfiles: {EXTRA}")


def watch_folders(
    find: Callable[[], Inputs], seen: list[Job], done: list[Job], plan: Plan, options: dict[str, Any]
) -> bool:
    """Segment the photos that arrive in folders, until the keyboard interrupts.

    Parameters
    ----------
    find : callable
        Looks for the photos that are there now.
    seen : list of Job
        What was there before.
    done : list of Job
        Of them, those in the tables of the batch; what is segmented here is added.
    plan : Plan
    options : dict
        Those of the command.

    Returns
    -------
    bool
        Whether all that arrived could be segmented.
    """
    arrivals = Arrivals(find, seen, plan)
    is_well = True
    try:
        for sources in arrivals.wait(options["inputs"], options["recursive"], quiet=plan.quiet):
            is_well &= _segment_new(sources, arrivals, done, plan, files_read(options))
    except KeyboardInterrupt:
        # The way to end it; a photo that was being segmented leaves nothing half-written.
        if not plan.quiet:
            say("no longer watching")
    return is_well


def _segment_new(
    sources: list[str], arrivals: Arrivals, done: list[Job], plan: Plan, also_read: list[Path]
) -> bool:
    """Segment photos that have arrived; return whether all could be."""
    from segment.photo.batch import plan_jobs

    # All photos are named, so that each has a name of its own; only the new ones are segmented.
    jobs, conflicts = plan_jobs(arrivals.photos(), plan.output, plan.kinds, also_read)
    wrong = [problem for problem in conflicts if any(str(problem).startswith(f"{s}: ") for s in sources)]
    for problem in wrong:
        say_error(problem)
    is_well = not wrong
    for job in (job for job in jobs if job.source in sources):
        # A photo that has changed is done again: its outputs are this run's own.
        again = replace(plan, force=plan.force or job.source in arrivals.segmented)
        is_well &= attempted(job.source, partial(run_job, job, again))
        arrivals.finished(job)
        done += [job] if job not in done else []
    return is_well


class Arrivals:
    """Which photos in watched folders are new or changed, complete, and no outputs of this run."""

    def __init__(self, find: Callable[[], Inputs], seen: list[Job], plan: Plan) -> None:
        self._find, self._plan = find, plan
        self._own: set[str] = set()
        self._known: dict[str, Stamp] = {}
        self.segmented: set[str] = set()
        for job in seen:
            self.finished(job)
            self._known[job.source] = stamp_of(job.source)

    def photos(self) -> list[Input]:
        """Return the photos that are there now."""
        return [photo for photo in self._find().photos if os.path.abspath(photo.source) not in self._own]

    def finished(self, job: Job) -> None:
        """Remember that a photo is segmented, and that its outputs are no photos."""
        from segment.photo.outputs.files import existing_outputs

        self.segmented.add(job.source)
        self._own |= {os.path.abspath(path) for path in existing_outputs(job.stem, self._plan.kinds)}

    def wait(self, folders: tuple[str, ...], recursive: bool, *, quiet: bool) -> Iterator[list[str]]:
        """Yield photos as they arrive, until the keyboard interrupts."""
        import watchfiles

        if not quiet:
            say(f"watching {', '.join(folders)}; Ctrl-C ends it")

        changed: dict[str, tuple[Stamp, float]] = {}
        # What arrived while the first ones were segmented has had its event.
        self._settled(changed)
        events = watchfiles.watch(
            *folders,
            recursive=recursive,
            debounce=50,
            step=25,
            rust_timeout=_POLL_MS,
            yield_on_timeout=True,
            raise_interrupt=True,
        )
        for event in events:
            if event or changed:
                ready = self._settled(changed)
                if ready:
                    yield ready

    def _settled(self, changed: dict[str, tuple[Stamp, float]]) -> list[str]:
        """Return the photos that have changed and changed no more; `changed` is brought up to date."""
        now, ready = monotonic(), []
        for source in (photo.source for photo in self.photos()):
            stamp = stamp_of(source)
            if self._known.get(source) == stamp:
                changed.pop(source, None)
            elif source not in changed or changed[source][0] != stamp:
                changed[source] = stamp, now
            elif now - changed[source][1] >= SETTLED:
                self._known[source] = stamp
                del changed[source]
                ready.append(source)
        return ready
