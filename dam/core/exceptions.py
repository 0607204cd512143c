"""Every error the program itself raises: one root, and subclasses that carry the objects and word themselves."""

from collections.abc import Callable, Sequence


class DamError(Exception):
    """The root. Its text is one line for the person at the terminal."""


class ResourceNotFound(DamError):
    """A resource was asked for that the world does not have."""

    def __init__(self, kind: type) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return f"the world has no resource of type {self.kind.__qualname__}"


class SystemRegistrationError(DamError):
    """A system asks for what can't be supplied; ``problems`` holds (parameter, reason) of all of them."""

    def __init__(self, function: Callable[..., object], problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(function, problems)
        self.function = function
        self.problems = tuple(problems)

    def __str__(self) -> str:
        reasons = "; ".join(f"{parameter}: {reason}" if parameter else reason for parameter, reason in self.problems)
        return f"{qualified_name(self.function)} can't be registered: {reasons}"


class StageExecutionError(DamError):
    """A system of a stage failed; its chunk was rolled back and its marks are kept."""

    def __init__(self, stage: str, system: Callable[..., object], original_exception: BaseException) -> None:
        super().__init__(stage, system, original_exception)
        self.stage = stage
        self.system = system
        self.original_exception = original_exception

    def __str__(self) -> str:
        return f"stage {self.stage}: {qualified_name(self.system)} failed: {described(self.original_exception)}"


class EventHandlingError(DamError):
    """A handler failed, and what all handlers of the event wrote was rolled back.

    ``handler`` is None when the handlers were done and the commit failed.
    """

    def __init__(self, event: object, handler: Callable[..., object] | None, original_exception: BaseException) -> None:
        super().__init__(event, handler, original_exception)
        self.event = event
        self.handler = handler
        self.original_exception = original_exception

    def __str__(self) -> str:
        who = "the commit" if self.handler is None else qualified_name(self.handler)
        return f"event {type(self.event).__name__}: {who} failed: {described(self.original_exception)}"


class InvalidConfiguration(DamError):
    """A setting can't be used; ``reason`` says which and how to mend it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class InvalidDatabaseUrl(InvalidConfiguration):
    """The database's address can't be used. It is never shown whole, because it may hold a password."""

    def __str__(self) -> str:
        return f"DATABASE_URL can't be used: {self.reason}"


class DatabaseUnavailable(DamError):
    """The database does not answer, or not in time."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"the database {self.address} can't be used: {self.reason}"


class SchemaMismatch(DamError):
    """The database's schema is not the one this program works with."""

    def __init__(self, address: str, found: str | None, expected: str) -> None:
        super().__init__(address, found, expected)
        self.address = address
        self.found = found
        self.expected = expected


class SchemaMissing(SchemaMismatch):
    """The database has no schema of ours yet."""

    def __str__(self) -> str:
        return f"the database {self.address} is not set up; run: dam-cli setup-db"


class SchemaTooOld(SchemaMismatch):
    """An older version of the program made the database."""

    def __str__(self) -> str:
        return (
            f"the database {self.address} has schema {self.found}, this program needs {self.expected}; "
            "run: dam-cli setup-db"
        )


class SchemaTooNew(SchemaMismatch):
    """A newer version of the program made the database."""

    def __str__(self) -> str:
        return (
            f"the database {self.address} has schema {self.found}, newer than this program's {self.expected}; "
            "install a newer DAM"
        )


class EntityNotFound(DamError):
    """There is no entity of this id."""

    def __init__(self, entity_id: int) -> None:
        super().__init__(entity_id)
        self.entity_id = entity_id

    def __str__(self) -> str:
        return f"there is no asset {self.entity_id}"


class TaskFailed(DamError):
    """A task in a worker process ended without an outcome of its own; only this task is concerned."""


class TaskTimedOut(TaskFailed):
    """The task took longer than it may; its worker was killed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"timed out after {self.seconds:g} s"


class TaskOutOfMemory(TaskFailed):
    """The task asked for more memory than a worker process may have."""

    def __str__(self) -> str:
        return "ran out of memory"


class WorkerCrashed(TaskFailed):
    """The worker process ended during the task; ``exit_code`` is negative for a signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"decoder crashed ({_how_it_ended(self.exit_code)})"


class OutcomeNotPicklable(TaskFailed):
    """What the task returned or raised can't be sent back from its worker process."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(outcome, reason)
        self.outcome = outcome
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.outcome} can't be sent between processes: {self.reason}"


class WorkersUnavailable(DamError):
    """Worker processes can't be started, so no task can be done."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"worker processes can't be started: {self.reason}"


class WalkerDied(DamError):
    """The process that looks for files ended before it was done; ``exit_code`` is negative for a signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        how = _how_it_ended(self.exit_code)
        return f"the process that looks for files ended too soon ({how}); run the command again for the rest"


class ClusterUnavailable(WorkersUnavailable):
    """A Dask cluster does not do the tasks that it is given."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason)
        self.args = (address, reason)
        self.address = address

    def __str__(self) -> str:
        return f"the cluster {self.address} can't be used: {self.reason}"


class NotARegularFile(DamError):
    """What stands at a path is no file with content: ``kind`` says what it is, as in ``a socket``."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind

    def __str__(self) -> str:
        return f"not a regular file but {self.kind}"


class SourceUnreadable(DamError):
    """The bytes of a source file could not be read."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause

    def __str__(self) -> str:
        return f"can't be read: {os_reason(self.cause)}"


class ReadingStopped(DamError):
    """A file was not read to its end because nobody wants to know any more."""

    def __str__(self) -> str:
        return "reading it was stopped"


class SourceChanged(DamError):
    """A source file was written to each time it was read, so that no content can be said to be its own."""

    def __str__(self) -> str:
        return "it kept changing while it was read"


class ObjectNotStored(DamError):
    """The storage could not take an object in, or not make it durable."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(cause)
        self.cause = cause

    def __str__(self) -> str:
        return f"can't be stored: {os_reason(self.cause)}"


class InvalidContentId(DamError):
    """A text is not the name of a content: 64 lower-case hexadecimal digits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"not a SHA-256 in hexadecimal: {self.text!r}"


class StorageMissing(DamError):
    """The database knows stored objects, and the storage folder is not there or is not a storage."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def __str__(self) -> str:
        return (
            f"the storage {self.root} is missing although the database knows objects in it; "
            "mount its disk, or set DAM_STORAGE_PATH to where it is"
        )


class StorageNotWritable(DamError):
    """Nothing can be written to the storage folder."""

    def __init__(self, root: str, cause: OSError) -> None:
        super().__init__(root, cause)
        self.root = root
        self.cause = cause

    def __str__(self) -> str:
        return f"the storage {self.root} can't be written to: {os_reason(self.cause)}"


class UnknownStorageFormat(DamError):
    """The storage was laid out by a program that this one does not understand."""

    def __init__(self, root: str, found: str) -> None:
        super().__init__(root, found)
        self.root = root
        self.found = found

    def __str__(self) -> str:
        return f"the storage {self.root} has a format this program does not know: {self.found!r}; install a newer DAM"


def qualified_name(function: Callable[..., object]) -> str:
    """Return a function's module and name, for people."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


def _how_it_ended(exit_code: int) -> str:
    return f"signal {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"


def described(error: BaseException) -> str:
    """Return an error's kind and its first line, for people."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__


def stems_from_interruption(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C was at the beginning of an error: what clears up after it may fail for its sake."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def os_reason(error: OSError) -> str:
    """Return what the operating system said, without the path, for people."""
    return error.strerror or str(error) or type(error).__name__
