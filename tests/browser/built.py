"""The built book: where it is, its pages, and how the tests open them."""

from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    path.relative_to(BOOK).as_posix()
    for path in BOOK.rglob("*.html")
    if "_static" not in path.parts and path != BOOK / "index.html"  # a redirection only
)
SCHEMES = {"file": "dark", "localhost": "light"}  # {origin that a page is opened from: colors}
DESKTOP = {"width": 1200, "height": 800}
PHONE = {"width": 390, "height": 844}
