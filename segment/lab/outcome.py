"""What an experiment returns: tables, checks against the literature, findings; and what a figure needs."""

from __future__ import annotations

import csv
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from segment.words import say, shown

# Sampling error is granted four standard errors: a normal estimate is further off once in 16 000 times.
SAMPLING = 4.0


class Check(NamedTuple):
    """A claim of the specification and what came out, both as text, and whether they agree."""

    claim: str
    expected: str
    got: str
    passed: bool


def close(claim: str, got: float, expected: float, tolerance: float, spec: str = ".3f") -> Check:
    """Check that a number is the expected one within an absolute tolerance."""
    text = f"{expected:{spec}}"
    if tolerance:
        text = say("{expected} within {tolerance:g}", expected=text, tolerance=tolerance)
    return Check(claim, text, f"{got:{spec}}", bool(abs(got - expected) <= tolerance))


def at_least(claim: str, got: float, bound: float, spec: str = ".3f") -> Check:
    """Check that a number is not below a bound."""
    return Check(claim, say("at least {bound}", bound=f"{bound:{spec}}"), f"{got:{spec}}", bool(got >= bound))


def at_most(claim: str, got: float, bound: float, spec: str = ".3f") -> Check:
    """Check that a number is not above a bound."""
    return Check(claim, say("at most {bound}", bound=f"{bound:{spec}}"), f"{got:{spec}}", bool(got <= bound))


class Column(NamedTuple):
    """Title of a column, with its unit, and the format of its numbers."""

    title: str
    spec: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be written as CSV (full precision), LaTeX or text.

    Attributes
    ----------
    name : str
        Name of its files.
    caption : str
    columns : tuple of Column
    rows : tuple of tuple
        Texts, numbers, or None where a cell stays empty.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    def text_rows(self) -> list[list[str]]:
        """Return the cells as they are shown."""
        return [
            [_shown(cell, column.spec) for cell, column in zip(row, self.columns, strict=True)]
            for row in self.rows
        ]

    def numeric(self) -> list[bool]:
        """Return whether each column holds numbers, which are set flush right."""
        return [bool(column.spec) for column in self.columns]

    def csv(self) -> str:
        """Return the table as CSV, numbers with ten digits."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([shown(column.title) for column in self.columns])
        for row in self.rows:
            writer.writerow([_precise(cell) for cell in row])
        return stream.getvalue()

    def latex(self) -> str:
        """Return the table as a LaTeX `table` for the package booktabs."""
        alignment = "".join("r" if numeric else "l" for numeric in self.numeric())
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape(shown(self.caption))}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(_escape(shown(column.title)) for column in self.columns) + r" \\",
            r"\midrule",
            *(" & ".join(_power(_escape(cell)) for cell in row) + r" \\" for row in self.text_rows()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"


def _shown(cell: Any, spec: str) -> str:
    if cell is None:
        return ""
    return shown(cell) if isinstance(cell, str) else format(cell, spec).replace("-", "\N{MINUS SIGN}")


def _precise(cell: Any) -> Any:
    if isinstance(cell, str):
        return shown(cell)
    return f"{cell:.10g}" if isinstance(cell, (float, np.floating)) else cell


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
}


def _escape(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _power(cell: str) -> str:
    """Set a number like 7.6e-05 as a power of ten."""
    return re.sub(r"^(\S*?\d)e(\$-\$|\+)0*(\d+)$", _times_ten, cell)


def _times_ten(found: re.Match[str]) -> str:
    sign = "" if found[2] == "+" else "-"
    return rf"{found[1]} $\times 10^{{{sign}{found[3]}}}$"


class Picture(NamedTuple):
    """A figure to be drawn: its caption can be read alone, `alt` says what is to be seen."""

    name: str
    caption: str
    alt: str
    draw: Callable[[], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome(ABC):
    """What every experiment returns, beside its own data and parameters.

    Attributes
    ----------
    random_state : int
    tables : tuple of Table
    checks : tuple of Check
        Against the specification's golden values.
    findings : tuple of str
        What the experiment teaches, in sentences whose numbers were computed.
    """

    random_state: int
    tables: tuple[Table, ...]
    checks: tuple[Check, ...]
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """Return the parameters (by iteration where there are iterations) and other numbers, for JSON."""

    def summary(self) -> dict[str, Any]:
        """Return all that `NAME.json` holds except versions."""
        return {
            "random_state": self.random_state,
            "passed": self.passed,
            "checks": [check._asdict() for check in self.checks],
            "findings": self.findings,
            "tables": {
                table.name: {
                    "caption": table.caption,
                    "columns": [column.title for column in table.columns],
                    "rows": table.rows,
                }
                for table in self.tables
            },
            **self.record(),
        }
