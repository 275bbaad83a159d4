"""What can go wrong, as a user is told of it.

Every error that a user can cause is a :class:`DetectorError`: its text names the place (file and YAML path, or
topic, partition and offset), what was found, what was expected, and what to do. The command line prints the text
alone and exits with `exit_code`; a traceback always means a bug.
"""


class DetectorError(Exception):
    """The root of all errors that are explained to the user."""

    exit_code = 1


class ConfigError(DetectorError):
    """The configuration cannot be used: file, line, YAML path, found, expected."""

    exit_code = 2


class LabelledSetError(DetectorError):
    """A folder or file of labelled data cannot be used: what was found, what was expected."""

    exit_code = 2


class CommandError(DetectorError):
    """A running daemon cannot do what it was asked: what was asked, and why not."""

    exit_code = 2


class NotMineError(CommandError):
    """What was asked means partitions or entities that are not this daemon's: another one's, or nobody's."""


class DaemonAwayError(DetectorError):
    """No daemon runs that could be asked (`none_runs`), or it does not answer."""

    none_runs = False


class StoreError(DetectorError):
    """The store cannot be used as it is."""

    exit_code = 3


class StoreLockedError(StoreError):
    """Another process holds the partition's file."""


class StoreDamagedError(StoreError):
    """A checksum or SQLite itself says that the file is not what was written."""


class StoreNewerError(StoreError):
    """The file was written by a newer format than this version reads."""


class StoreOlderError(StoreError):
    """The file was written by an older format, which this version does not read."""


class StoreFullError(StoreError):
    """The disk is full or read-only: the daemon waits for room, it does not stop."""


class SourceError(DetectorError):
    """The source cannot go on without a decision of the operator."""

    exit_code = 4


class SourceUnavailableError(SourceError):
    """The source is away for now (broker down, no route): the daemon waits."""


class NoRoomError(SourceUnavailableError):
    """A partition cannot be taken over, as its store has no room: the daemon waits, as with StoreFullError."""


class RegistryUnavailableError(SourceUnavailableError):
    """The schema registry is away for now: the daemon waits with the records in hand."""


class LogChangedError(SourceError):
    """The log is not the one of the checkpoint: topic made anew, truncated, or owned by another store."""


class SinkError(DetectorError):
    """A sink cannot be built or reached."""

    exit_code = 5
