"""The name of a content, parsed once where it comes in."""

from dataclasses import dataclass

from dam.core.exceptions import InvalidContentId

_HEX_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, order=True)
class ContentId:
    """The name of a content: its SHA-256. Its text is 64 lower-case hexadecimal digits."""

    sha256: bytes

    @classmethod
    def parse(cls, text: str) -> "ContentId":
        """Read a name as ``str`` writes it. Raises InvalidContentId."""
        if len(text) != 64 or not _HEX_DIGITS.issuperset(text):
            raise InvalidContentId(text)
        return cls(bytes.fromhex(text))

    def __str__(self) -> str:
        return self.sha256.hex()
