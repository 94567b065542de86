"""Every error that a user of syntype can meet; each message says what to do next.

    SyntypeError                     exit 1   the root: catch this to catch them all
    ├── UsageError      (ValueError) exit 2   options that cannot be or contradict each other
    ├── DataError       (ValueError) exit 3   a dataset, table, label or picture is wrong
    │   ├── DataNotFoundError (FileNotFoundError)    nothing where the data should be
    │   └── MediaError                               one picture that cannot be decoded
    ├── EncoderError    (ValueError) exit 4   an encoder cannot be built
    │   ├── UnknownEncoderError                      no such source or name
    │   └── WeightsError                             weights missing, partial or random
    ├── VectorError     (ValueError) exit 5   vectors broken, of another encoder, or unsealed
    ├── TrainingError                exit 6   a training diverged or has nothing to learn from
    ├── ResourceError   (OSError)    exit 7   disk full, folder not writable, out of memory
    └── IncompleteError              exit 8   some parts of a sweep failed; the others are done

An interrupt (Ctrl-C) exits with 130, an error that is our fault with 70. The command line prints
the message alone; `--debug` adds the traceback. Invariants of the code itself use `assert`.
"""


class SyntypeError(Exception):
    """The root of all errors meant for users."""

    exit_code = 1


class UsageError(SyntypeError, ValueError):
    """Options that cannot be, or that contradict each other."""

    exit_code = 2


class DataError(SyntypeError, ValueError):
    """A dataset, table, label or picture is not as it must be."""

    exit_code = 3


class DataNotFoundError(DataError, FileNotFoundError):
    """There is nothing where the data should be."""


class MediaError(DataError):
    """One picture cannot be decoded; the message is the reason in a few words."""


class EncoderError(SyntypeError, ValueError):
    """An encoder cannot be built."""

    exit_code = 4


class UnknownEncoderError(EncoderError):
    """No encoder has that source or name."""


class WeightsError(EncoderError):
    """Weights are missing, loaded only in part, or random where trained ones were asked for."""


class VectorError(SyntypeError, ValueError):
    """Vectors are broken (NaN, zero), belong to another encoder, or are not sealed yet."""

    exit_code = 5


class TrainingError(SyntypeError):
    """A training diverged, or has nothing to learn from."""

    exit_code = 6


class ResourceError(SyntypeError, OSError):
    """The machine refused: disk full, folder not writable, out of memory."""

    exit_code = 7


class IncompleteError(SyntypeError):
    """Some parts of a sweep failed; the others are finished and reported."""

    exit_code = 8
