"""The built book as one PDF: every page in reading order, through an installed Chromium.

Usage: python tools/pdf.py, after `make book`. Writes _build/rich-and-lazy.pdf.
"""

import shutil
import sys
import zlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parent.parent
BOOK, OUT = ROOT / "_build" / "html", ROOT / "_build" / "rich-and-lazy.pdf"
SHORT_TABLE, SHORT_CODE = 15, 12  # rows, lines: kept on one page
NOT_PRINTED = {"book/explorer"}  # it shows nothing until a reader chooses

HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="html/_static/pygments.css">
<link rel="stylesheet" href="../book/_static/print.css">
<script>
window.MathJax = {{
  options: {{ processHtmlClass: "math" }},
  chtml: {{ matchFontHeight: false, scale: 1.05 }}  // else 129 % beside this font
}}
</script>
<script defer src="html/_static/mathjax/es5/tex-chtml-full.js"></script></head><body>
<header><h1>{title}</h1><p>{author}</p></header>
"""
FOOTER = """<div style="width: 100%; font: 8pt sans-serif; color: #555; text-align: center">
<span class="pageNumber"></span></div>"""


TEXT_WIDTH = 658  # CSS pixels: A4 less two margins of 18 mm
TOO_WIDE = """() => [...document.querySelectorAll("div.math, table, pre, img")]
  .filter(node => node.scrollWidth > node.clientWidth + 1
    || node.getBoundingClientRect().width > innerWidth + 1)  // zoomed, as it is printed
  .map(node => `${node.closest("section.chapter").id}: ${node.textContent.slice(0, 60)}`)"""


LONGEST_NAME = 127  # bytes that any reader of a PDF must take
SET_NUMBERS = """numbers => document.querySelectorAll("nav a").forEach(
  link => { link.dataset.page = numbers[decodeURIComponent(link.hash.slice(1))] })"""


def pages():
    """[(part, names of its pages)] in the order of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    parts = [(None, [toc["root"]])]
    for part in toc["parts"]:
        names = [chapter["file"] for chapter in part["chapters"]]
        parts.append((part["caption"], [name for name in names if name not in NOT_PRINTED]))
    return parts


def anchor(page, fragment=""):
    """The anchor of a page, or of a place on it, in a document that holds all of them."""
    name = f"{page}--{fragment}" if fragment else page
    if len(name.encode()) < LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME // 2]}-{zlib.crc32(name.encode()):08x}"


def article(name, known):
    """The text of a page, with its anchors, links and pictures as the whole document needs them."""
    path = BOOK / f"{name}.html"
    found = BeautifulSoup(path.read_text("utf-8"), "html.parser").select_one("article")
    for node in found.select(
        "script, style, .headerlink, button, .controls, input, details.hide > summary"
    ):
        node.decompose()
    for node in found.select("details.hide"):  # without its label a browser would make one up
        node.unwrap()
    for node in found.find_all("p"):
        if node.get_text().startswith("Difficulty ●"):
            node["class"] = "exercise"
    for node in found.select("table"):
        if len(node.select("tr")) <= SHORT_TABLE:
            node["class"] = [*node.get("class", []), "short"]
    for node in found.select("pre"):
        if len(node.get_text().splitlines()) <= SHORT_CODE:
            node["class"] = [*node.get("class", []), "short"]
    for node in found.select("details"):
        node["open"] = ""
    for node in found.select("[id]"):
        node["id"] = anchor(name, node["id"])
    for node in found.select("img[src]"):
        if not node["src"].startswith("data:"):
            node["src"] = (path.parent / node["src"]).resolve().relative_to(BOOK.parent).as_posix()
    for node in found.select("a[href]"):
        parts = urlsplit(node["href"])
        if parts.scheme or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        page = file.relative_to(BOOK).with_suffix("").as_posix()
        if page in known:
            place = "" if "=" in parts.fragment else parts.fragment  # a choice in the explorer
            node["href"] = "#" + anchor(page, unquote(place))
        else:
            del node["href"]  # leads to what is not printed
    for level in range(5, 0, -1):  # below the parts, which are the first level of the outline
        for node in found.find_all(f"h{level}"):
            node.name = f"h{level + 1}"
    found.name, found["id"], found["class"] = "section", anchor(name), "chapter"
    return found


def document():
    """All pages as one."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    parts = pages()
    known = {name for _, names in parts for name in names}
    texts = [HEAD.format(title=config["title"].replace("&", "&amp;"), author=config["author"])]
    contents = ['<nav><p class="title">Contents</p><ul>']
    for caption, names in parts:
        articles = [article(name, known) for name in names]
        if caption:
            texts.append(f'<h1 class="part">{caption}</h1>')
            contents.append(f"</ul><p>{caption}</p><ul>")
        for name, found in zip(names, articles, strict=True):
            texts.append(str(found))
            contents.append(f'<li><a href="#{anchor(name)}">{found.h2.get_text()}</a></li>')
    texts.insert(1, "\n".join([*contents, "</ul></nav>"]))
    return "\n".join([*texts, "</body></html>"])


def page_numbers(file):
    """{anchor: number of its page, from 1} of a printed document."""
    reader = PdfReader(file)
    return {
        name.removeprefix("/"): reader.get_destination_page_number(place) + 1
        for name, place in reader.named_destinations.items()
    }


def printed(source, out, browser):
    """Print a document twice: which pages its contents name is known after the first time."""
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(source.as_uri())
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": TEXT_WIDTH, "height": 1000})
    if wide := page.evaluate(TOO_WIDE):
        sys.exit("\n  ".join(["wider than the page, so it would be cut:", *wide]))
    options = {
        "path": out,
        "format": "A4",
        "margin": {side: "18mm" for side in ("top", "right", "bottom", "left")},
        "print_background": True,
        "display_header_footer": True,
        "header_template": "<span></span>",
        "footer_template": FOOTER,
        "outline": True,
        "tagged": True,
    }
    page.pdf(**options)
    page.evaluate(SET_NUMBERS, page_numbers(out))
    page.pdf(**options)
    page.close()


def main():
    if not (ROOT / "_build" / ".finished").exists():
        sys.exit("no built book: run `make book` first")
    if not (chromium := shutil.which("chromium")):
        sys.exit("no browser: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    source, partial = OUT.with_suffix(".html"), OUT.with_suffix(".partial")
    source.write_text(document(), "utf-8")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        printed(source, partial, browser)
        browser.close()
    partial.replace(OUT)
    source.unlink()
    print(f"{OUT.relative_to(ROOT)}: {OUT.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
