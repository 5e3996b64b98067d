"""What outputs can be asked for beyond their kind; a kind's line in the table names what it heeds."""

from __future__ import annotations

from dataclasses import dataclass

from segment.errors import DataError

PAPERS = ("a4", "letter")


@dataclass(frozen=True)
class OutputSettings:
    """The settings of all kinds of output; each kind heeds those that its `Output.uses` names.

    Attributes
    ----------
    tolerance : float
        Pixels by which a smoothed line may leave the border between pixels; 0 keeps the border.
    min_area : int or None
        Pixels from which an area is drawn; smaller ones join a neighbor. None leaves it to the kind.
    paper : {"a4", "letter"}
    pixel_size : (float, str) or None
        Side of a pixel and its unit.
    parquet : bool
        Write the table of a batch as Parquet too.
    false_alarms : float
        Share of pixels that are taken for anomalies.

    Raises
    ------
    DataError
        If the tolerance is below 0 or not finite.
    """

    tolerance: float = 0.5
    min_area: int | None = None
    paper: str = PAPERS[0]
    pixel_size: tuple[float, str] | None = None
    parquet: bool = False
    false_alarms: float = 0.001

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < float("inf"):
            raise DataError(f"tolerance is {self.tolerance}; allowed are numbers of pixels from 0 on")
