"""Choices that commands type again (help loads nothing heavy) are those of the code that does the work."""

import click
import pytest

from segment.cli import COMMANDS, main
from segment.datasets import DATASETS
from segment.digits.settings import N_FEATURES, REFINEMENTS, SPLITS
from segment.lab import EXPERIMENTS
from segment.mixture.families.gaussian.covariance import COVARIANCE_TYPES
from segment.mixture.merging import MERGE_METHODS
from segment.mixture.selection import CRITERIA
from segment.photo.colors import COLOR_SPACES
from segment.photo.outputs import METHODS
from segment.photo.outputs.settings import PAPERS
from segment.photo.palette_fit import PALETTE_FITS
from segment.photo.regions.segmentation import DETAILS
from segment.photo.smooth import SMOOTHINGS
from segment.photo.tiles.photo import BAD_TILES
from segment.words import LANGUAGES

SOURCES = {
    "photo method": METHODS,
    "photo covariance_type": COVARIANCE_TYPES,
    "photo color_space": COLOR_SPACES,
    "photo smooth": SMOOTHINGS,
    "photo detail": DETAILS,
    "photo bad_tiles": BAD_TILES,
    "photo paper": PAPERS,
    "photo palette_fit": PALETTE_FITS,
    "digits split": SPLITS,
    "digits features": N_FEATURES,
    "digits covariance_type": COVARIANCE_TYPES,
    "digits merge": MERGE_METHODS,
    "digits refine": REFINEMENTS,
    "table covariance_type": COVARIANCE_TYPES,
    "table criterion": CRITERIA,
    "lab language": LANGUAGES,
    "report language": LANGUAGES,
    "lab names": ("list", "all", *EXPERIMENTS),
    "datasets fetch name": DATASETS,
    "datasets verify name": DATASETS,
}


def _choices(command, name):
    """Yield the choices of a command and of those below it."""
    if isinstance(command, click.Group):
        for below in command.commands:
            yield from _choices(command.commands[below], f"{name} {below}")
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice):
            yield f"{name} {parameter.name}", list(parameter.type.choices)


CHOICES = {
    key: choices
    for name in COMMANDS
    for key, choices in _choices(main.get_command(click.Context(main), name), name)
}


@pytest.mark.parametrize("key", CHOICES)
def test_choices_are_those_of_the_code(key):
    assert key in SOURCES, f"say here what defines the choices of {key}"
    assert sorted(CHOICES[key]) == sorted(SOURCES[key])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_with_choices_says_what_they_are(name):
    command = main.get_command(click.Context(main), name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Choice):
            assert parameter.help, f"{name} --{parameter.name} has no help"


def test_no_choice_has_vanished():
    assert set(SOURCES) <= set(CHOICES)
