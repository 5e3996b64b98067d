"""`segment datasets`: list, fetch and verify the data sets."""

from __future__ import annotations

import sys

import click

from segment.cli.common import (
    EXIT_FAILED,
    print_json,
    print_line,
    reports_errors,
    say,
    say_error,
    shared_options,
)
from segment.datasets import DATASETS, data_folder, dataset_folder, fetch, is_present, verify

_name = click.argument("name", type=click.Choice(list(DATASETS)))


@click.group()
def datasets() -> None:
    """List, fetch and verify data sets (MNIST, Fashion-MNIST, KMNIST, BSDS500).

    They lie in the folder SEGMENT_DATASETS, else in datasets/ of the checkout, else in the cache folder.
    """


@datasets.command("list")
@shared_options("json")
@reports_errors
def list_command(as_json: bool) -> None:
    """List the data sets and whether they are at hand."""
    rows = [
        {
            "name": item.name,
            "title": item.title,
            "present": is_present(item.name),
            "folder": dataset_folder(item.name),
        }
        for item in DATASETS.values()
    ]
    if as_json:
        print_json(rows, indent=2)
        return
    print_line(f"folder: {data_folder()}")
    for row in rows:
        print_line(f"{row['name']:<14} {'present' if row['present'] else 'absent':<8} {row['title']}")


@datasets.command("fetch")
@_name
@shared_options("quiet")
@reports_errors
def fetch_command(name: str, quiet: bool) -> None:
    """Download what is missing of data set NAME and check it."""
    folder = fetch(name, progress=not quiet and sys.stderr.isatty())
    if not quiet:
        say(f"{name}: complete in {folder}")


@datasets.command("verify")
@_name
@shared_options("quiet")
@reports_errors
def verify_command(name: str, quiet: bool) -> None:
    """Read every file of data set NAME and compare it with its checksum."""
    checks = verify(name)
    for check in checks:
        if not check.ok:
            say_error(f"{check.path} {check.message}")
        elif not quiet:
            print_line(f"{check.path}: {check.message}")
    if not all(check.ok for check in checks):
        say(f"try: segment datasets fetch {name}")
        sys.exit(EXIT_FAILED)
