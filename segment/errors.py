"""What can go wrong, said so that a person can act.

Every message states what was got, what is allowed and what to try. The command line turns a
`SegmentError` into one line on stderr and an exit code; nothing else is caught there.
"""


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


class ConvergenceWarning(UserWarning):
    """EM stopped before it converged, or the log-likelihood fell."""


class CollapseWarning(UserWarning):
    """A component collapsed and was repaired; the message states the rule that was applied."""
