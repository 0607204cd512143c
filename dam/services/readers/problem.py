"""What a reader itself has to say of a file it can't read."""

from dam.core.exceptions import DamError


class UnreadableFile(DamError):
    """A fact can't be read; ``reason`` is one line for the person who owns the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
