import io

import pytest

from dam.services.facts import DocumentProperties, Fact
from dam.services.readers.document_reader import read_document
from dam.services.readers.problem import UnreadableFile
from tests import media


def facts(content: bytes) -> list[Fact]:
    return list(read_document(io.BytesIO(content), 100))


def test_pages_are_counted_and_the_title_is_read() -> None:
    assert facts(media.pdf_bytes(7, "A title — 漢字")) == [DocumentProperties(page_count=7, title="A title — 漢字")]


@pytest.mark.parametrize("title", [None, "", "   "])
def test_no_title_is_none(title: str | None) -> None:
    assert facts(media.pdf_bytes(1, title)) == [DocumentProperties(page_count=1)]


def test_a_long_title_is_cut() -> None:
    assert facts(media.pdf_bytes(1, "t" * 5000)) == [DocumentProperties(page_count=1, title="t" * 100)]


@pytest.mark.parametrize("content", [b"%PDF-1.7\n", b"", b"%PDF-1.7\n" + bytes(1000)])
def test_a_damaged_document_says_so(content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="damaged"):
        facts(content)
