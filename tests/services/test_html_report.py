import html
import io
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from dam.services import html_report
from dam.services.html_report import Section, Tile
from dam.services.picture_service import Picture
from tests import needs

RED, GREEN, BLUE = (230, 20, 30), (20, 180, 40), (30, 40, 220)
# What it does when it runs: it takes all pictures off the page.
SCRIPT = "document.querySelectorAll('figure').forEach(figure => figure.remove())"
HOSTILE = f"""<img src=x onerror="{SCRIPT}">.jpg"""
POLICY = '<meta http-equiv="Content-Security-Policy"'


def thumbnail(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (160, 120), colour).save(file, "PNG")
    return file.getvalue()


def tile(colour: tuple[int, int, int], name: str) -> Tile:
    picture = Picture(entity_id=7, filename=name, width_pixels=4000, height_pixels=3000, file_size_bytes=5_000_000)
    return Tile(picture=picture, thumbnail=thumbnail(colour), thumbnail_type="image/png")


def page_of(*tiles: Tile) -> str:
    return html_report.render("Look-alikes", [Section(title="A group", tiles=tiles)])


class Seen(HTMLParser):
    """What a browser makes of a page: its elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_tile_tells_what_a_person_decides_by() -> None:
    picture = Picture(
        entity_id=7,
        filename="a.jpg",
        width_pixels=4000,
        height_pixels=3000,
        file_size_bytes=5_000_000,
        paths=("/photos/a.jpg", "/backup/b.jpg"),
    )
    member = Tile(
        picture=picture, distances={"phash": 2, "ahash": None, "dhash": 9}, matched_by=("phash",), orientation=6
    )
    text = Seen(page_of(member)).text
    for fact in (
        "a.jpg",
        "4000 x 3000",
        "5,000,000 bytes",
        "pHash 2",
        "aHash unknown",
        "dHash 9",
        "/backup/b.jpg",
        "asset 7",
    ):
        assert fact in text
    assert "looks like the query turned right" in text


def test_hashes_that_agree_are_told_apart() -> None:
    member = Tile(picture=Picture(entity_id=1), distances={"phash": 2, "ahash": 3, "dhash": 9}, matched_by=("ahash",))
    page = page_of(member)
    assert '<span class="agrees">aHash 3</span>' in page
    assert page.count('class="agrees"') == 1


@pytest.mark.parametrize("place", ["title", "section", "name", "path"])
@pytest.mark.parametrize("text", [HOSTILE, "'\"><script>alert(1)</script>", "</style></title><b>&lt;", "a&amp;b"])
def test_markup_is_shown_as_text_wherever_it_stands(place: str, text: str) -> None:
    words = {"title": "t", "section": "s", "name": "n", "path": "p"}

    def seen(words: dict[str, str]) -> Seen:
        picture = Picture(entity_id=1, filename=words["name"], paths=(words["path"],))
        group = Section(title=words["section"], tiles=(Tile(picture=picture, thumbnail=b"x"),))
        return Seen(html_report.render(words["title"], [group]))

    hostile, harmless = seen(words | {place: text}), seen(words)
    assert text in hostile.text
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(attributes) for _, attributes in hostile.elements] == [sorted(a) for _, a in harmless.elements]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("caf\udce9.jpg", r"caf\xe9.jpg"),
        ("\ud800", r"\ud800"),
        ("a\nb\tc\x1b[2J", r"a\nb\tc\x1b[2J"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("Übung 日本.jpg", "Übung 日本.jpg"),
    ],
)
def test_what_cannot_be_printed_is_written_out(name: str, shown: str) -> None:
    page = page_of(tile(RED, name))
    assert shown in Seen(page).text
    page.encode("utf-8")


def test_the_page_needs_nothing_from_outside_and_has_no_scripts() -> None:
    elements = Seen(page_of(tile(RED, "a.jpg"), tile(GREEN, "b.jpg"))).elements
    sources = [attributes["src"] or "" for _, attributes in elements if "src" in attributes]
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in elements}
    assert not any("href" in attributes or "style" in attributes for _, attributes in elements)


def test_a_picture_without_thumbnail_says_so() -> None:
    seen = Seen(page_of(Tile(picture=Picture(entity_id=None, filename="gone.jpg"))))
    assert "no preview" in seen.text
    assert "img" not in [tag for tag, _ in seen.elements]


def test_a_thumbnail_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="svg"):
        page_of(Tile(picture=Picture(entity_id=1), thumbnail=b"<svg/>", thumbnail_type="image/svg+xml"))


def test_a_page_without_sections_says_that_nothing_was_found() -> None:
    assert "No look-alikes were found" in Seen(html_report.render("t", [])).text


def test_pictures_load_side_by_side_in_a_browser(tmp_path: Path) -> None:
    picture = screenshot(page_of(tile(RED, "a.jpg"), tile(GREEN, HOSTILE), tile(BLUE, "c.jpg")), tmp_path)
    places = [box_of(picture, colour) for colour in (RED, GREEN, BLUE)]
    assert all(place is not None and place[2] - place[0] > 100 for place in places)
    tops = {place[1] for place in places if place}
    assert len(tops) == 1


@pytest.mark.parametrize("policy", ["forbids scripts", "is missing"])
def test_the_policy_stops_a_name_that_is_not_escaped(policy: str, tmp_path: Path) -> None:
    page = page_of(tile(RED, HOSTILE)).replace(html.escape(HOSTILE), HOSTILE).replace('alt="<img', 'alt=""><img')
    assert HOSTILE in page
    if policy == "is missing":
        page = page.replace(POLICY, '<meta name="no-policy"')
    is_shown = box_of(screenshot(page, tmp_path), RED) is not None
    assert is_shown == (policy == "forbids scripts")


def screenshot(page: str, folder: Path) -> Image.Image:
    file, shot = folder / "page.html", folder / "shot.png"
    file.write_text(page, encoding="utf-8")
    flags = ["no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    flags += ["disable-component-update", "disable-sync", "headless", "hide-scrollbars", "window-size=1200,900"]
    command = [needs.program("chromium", "chromium-browser", "google-chrome"), *(f"--{flag}" for flag in flags)]
    command += [f"--user-data-dir={folder / 'profile'}", f"--screenshot={shot}", file.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(shot) as image:
        return image.convert("RGB")


def box_of(picture: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """Return where on the picture this colour is: left, top, right, bottom."""
    marks = Image.new("L", picture.size)
    marks.putdata([255 if pixel == colour else 0 for pixel in picture.get_flattened_data()])
    return marks.getbbox()
