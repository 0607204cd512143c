"""Reads PDF files with PDFium."""

from collections.abc import Iterator
from typing import BinaryIO

from dam.services.facts import DocumentProperties, Fact
from dam.services.readers.plain_values import plain_text, whole_number
from dam.services.readers.problem import UnreadableFile


def read_document(file: BinaryIO, longest: int) -> Iterator[Fact]:
    """Give the number of pages and the title, cut to ``longest`` characters; pages are counted, none is drawn."""
    try:
        import pypdfium2  # of the extra ``media``, perhaps absent
    except ImportError as error:
        raise UnreadableFile("reading PDF needs pypdfium2; install it with: pip install 'dam[media]'") from error
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as error:
        raise UnreadableFile(_reason(str(error))) from error
    try:
        title = document.get_metadata_value("Title")
        yield DocumentProperties(page_count=whole_number(len(document)), title=plain_text(title, longest))
    finally:
        document.close()


def _reason(error: str) -> str:
    if "assword" in error:
        return "the PDF asks for a password"
    return "the PDF is damaged or cut off"
