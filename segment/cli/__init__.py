"""The command line: the only room that prints, parses arguments or sets exit codes."""

from __future__ import annotations

import importlib

import click

from segment._version import __version__

# Command -> (module with a click command of that name, one line of help). The table keeps `segment --help`
# fast: a command's module, and all that it imports, is loaded only when that command runs.
COMMANDS = {
    "photo": ("segment.cli.photo:photo", "Segment color photos by a Gaussian mixture of their colors."),
    "palette": ("segment.cli.palette:palette", "Print the colors of a photo."),
    "digits": ("segment.cli.digits:digits", "Cluster handwritten digits without seeing a label."),
    "digits-predict": ("segment.cli.digits:predict", "Label new digits with a model that digits has saved."),
    "video": ("segment.cli.video:video", "Tell what stays in a clip and what moves."),
    "table": ("segment.cli.table:table", "Cluster the rows of tables of any size."),
    "lab": ("segment.cli.lab:lab", "Reproduce classic experiments on EM: figures, tables, checks."),
    "report": ("segment.cli.report:report", "Write a report on EM: one page, every figure and table."),
    "datasets": ("segment.cli.datasets:datasets", "List, fetch and verify data sets."),
}


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the module of command `name`."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="segment")
def main() -> None:
    """Cluster with Gaussian mixtures fitted by EM: photos, digits, report figures.

    Try `segment photo skimage:astronaut`. Exit codes: 0 ok, 1 failed, 2 usage, 3 some inputs of a
    batch failed, 130 interrupted.
    """
