"""What photos that share colors share: palette, model, and what is known of the fit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from segment.errors import OutputError
from segment.output import versions, write_json
from segment.photo.batch import Job
from segment.photo.outputs import endings_of, model, palette
from segment.photo.outputs.naming import at
from segment.photo.outputs.settings import OutputSettings
from segment.photo.outputs.sidecar import read_sidecar, sidecar_path
from segment.photo.shared import SharedFit

ENDINGS = (*palette.ENDINGS, *model.ENDINGS, ".json")
NAME = "shared"


def shared_stem(folder: Path, jobs: Iterable[Job], kinds: Iterable[str]) -> Path:
    """Return the common path of the shared outputs: shared, or the first of shared-2, ... that is no other's.

    Parameters
    ----------
    folder : Path
    jobs : iterable of Job
        Neither they nor their outputs of the kinds are replaced.
    kinds : iterable of str
    """
    endings = [ending for kind in kinds for ending in endings_of(kind)]
    taken = {_plain(at(job.stem, ending)) for job in jobs for ending in endings}
    taken |= {_plain(job.source) for job in jobs}
    stems = (folder / (NAME if n == 1 else f"{NAME}-{n}") for n in count(1))
    return next(stem for stem in stems if taken.isdisjoint(_plain(at(stem, ending)) for ending in ENDINGS))


def _plain(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(path).casefold()


def check_shared(stem: Path, options: dict[str, Any] | None) -> None:
    """Raise an `OutputError` if shared outputs are there; not if they are of the given options."""
    found = [path for path in (at(stem, ending) for ending in ENDINGS) if path.exists()]
    earlier = read_sidecar(sidecar_path(stem))
    if not found or (options is not None and earlier is not None and earlier.options == options):
        return
    other = "" if options is None else "; they are of other photos or other options"
    raise OutputError(
        f"{found[0]}: exists already{other}; allow overwriting with --force, or choose another folder with -o"
    )


def write_shared(
    shared: SharedFit, stem: Path, options: dict[str, Any], inputs: list[str], left_out: list[str]
) -> list[Path]:
    """Write what photos share.

    Parameters
    ----------
    shared : SharedFit
    stem : Path
        Common path of the outputs.
    options : dict
        All that was asked for.
    inputs, left_out : list of str
        The photos whose colors were counted, and those that could not be read.

    Returns
    -------
    list of Path
        Palette, model and sidecar.
    """
    parameters, result = shared.model.parameters, shared.result
    shared.model.save(at(stem, model.ENDINGS[0]))
    paths = [*palette.write(shared, stem, OutputSettings()), at(stem, model.ENDINGS[0]), sidecar_path(stem)]
    facts = {
        "input": NAME,
        "sha256": shared.model.digest,
        "inputs": inputs,
        "left_out": left_out,
        "options": options,
        "n_photos": shared.n_photos,
        "n_pixels": shared.n_pixels,
        "n_distinct_colors": shared.n_distinct_colors,
        "n_components": parameters.n_components,
        "selection": None if shared.selection is None else shared.selection.icl,
        "covariance_type": parameters.covariance_type,
        "color_space": shared.model.color_space,
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
        "log_likelihood": shared.log_likelihood,
        "n_iter": None if result is None else result.n_iter,
        "converged": None if result is None else result.converged,
        "palette": shared.palette,
        "shares": shared.shares,
        "warnings": [] if result is None else [str(repair) for repair in result.repairs],
        "outputs": [str(path) for path in paths],
        "versions": versions(),
    }
    write_json(sidecar_path(stem), facts)
    return paths
