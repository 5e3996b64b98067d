"""What can go wrong, said so that a person can act.

Every message states what was got, what is allowed and what to try. The command line turns a
`SegmentError` into one line on stderr and an exit code; nothing else is caught there.
"""

import warnings


class SegmentError(Exception):
    """Base of every error that a user of the package can cause and mend."""


class DataError(SegmentError, ValueError):
    """Samples, weights or parameters that no mixture can be fitted to."""


class ImageError(SegmentError, ValueError):
    """A file or array that is not a photo this program can read or segment."""


class VideoError(SegmentError, ValueError):
    """A clip, image sequence or camera that this program cannot read."""


class DatasetError(SegmentError, ValueError):
    """A data set that is missing, damaged or not what its name says."""


class OutputError(SegmentError, OSError):
    """A result that could not be written; nothing half-written is left behind."""


class ModelError(SegmentError, ValueError):
    """A model file that is damaged or does not fit the data it is applied to."""


class SegmentWarning(UserWarning):
    """Base of what the package warns of; anything else comes from a library, for its own developers."""


class ConvergenceWarning(SegmentWarning):
    """EM stopped before it converged, or the log-likelihood fell."""


class CollapseWarning(SegmentWarning):
    """A component collapsed and was repaired; the message states the rule that was applied."""


def heed_only_own_warnings() -> None:
    """Let no warnings of libraries through; for use within `warnings.catch_warnings`."""
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", SegmentWarning)
