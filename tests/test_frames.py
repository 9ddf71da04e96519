"""A figure that the reader moves through holds every frame, and needs nothing but itself."""

import base64
import hashlib
import io
import os
import subprocess
import sys
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from PIL import Image

from richlib import show
from richlib.frames import SCRIPT, STYLE

WIDGET = "application/vnd.jupyter.widget-view+json"


def figure(k=0, size=(2, 1)):
    figure, ax = plt.subplots(figsize=size)
    ax.plot([0, 1], [0, k])
    ax.set_ylim(0, 9)
    return figure


def frames(count=6, **options):
    options = {"alt": 'A line, "steeper" & steeper.', "name": "step"} | options
    return show.Frames((figure(k) for k in range(count)), list(range(0, 10 * count, 10)), **options)


class Tags(HTMLParser):
    """Every tag with its attributes, in order."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def __call__(self, name):
        return [attributes for tag, attributes in self.found if tag == name]


def test_wide_frames_are_printed_below_each_other():
    def stack(*size):
        pair = [plt.figure(figsize=size) for _ in range(2)]
        boxes = Tags(show.Frames(pair, "ab", alt="Nothing.")._repr_html_())("div")
        return next(box["class"] for box in boxes if "stack" in box["class"])

    assert (stack(8, 2.5), stack(4, 3)) == ("stack wide", "stack")


def pictures(html):
    data = [image["src"].removeprefix("data:image/webp;base64,") for image in Tags(html)("img")]
    return [Image.open(io.BytesIO(base64.b64decode(d))).convert("RGB") for d in data]


def test_every_frame_is_there_with_its_label_and_alt_text():
    tags = Tags(frames()._repr_html_())
    assert [image["alt"] for image in tags("img")][2] == 'A line, "steeper" & steeper. (step 20)'
    boxes = [box for box in tags("div") if "frame" in box["class"].split()]
    assert [box["data-label"] for box in boxes] == ["0", "10", "20", "30", "40", "50"]
    assert len(tags("img")) == 6


def test_pictures_are_what_was_drawn():
    """Fewer colors, but black, white and the lines are where they were."""
    seen = pictures(frames()._repr_html_())[3]
    drawn = io.BytesIO()
    figure(3).savefig(drawn, dpi=160)
    plt.close("all")
    expected = np.asarray(Image.open(drawn).convert("RGB"), dtype=float)
    got = np.asarray(seen, dtype=float)
    assert got.shape == expected.shape
    assert (got[expected.min(2) == 255] == 255).all()  # a white page stays white
    # 64 colors for a few hundred shades of edges: a mean error of a gray level or so.
    assert np.abs(got - expected).mean() < 1


def test_the_slider_is_native_and_has_a_name():
    html = frames()._repr_html_()
    tags = Tags(html)
    (slider,) = tags("input")
    assert (slider["type"], slider["min"], slider["max"]) == ("range", "0", "5")
    assert html.index("<label><span>step</span><input") < html.index("</label>")
    assert [button["aria-label"] for button in tags("button")] == ["previous step", "next step"]
    assert [button["data-by"] for button in tags("button")] == ["-1", "1"]
    assert len(tags("output")) == 1


def test_any_frame_can_be_the_first_that_is_seen():
    moving = frames(start=2)
    (slider,) = Tags(moving._repr_html_())("input")
    assert slider["value"] == "2" and Tags(frames()._repr_html_())("input")[0]["value"] == "0"
    picture, slider = moving.widget().children
    assert slider.value == 2 and slider.label == "20"
    shown = Tags(moving._repr_html_())("img")[2]
    assert Tags(picture.value)("img")[0]["src"] == shown["src"]


def test_first_and_last_frames_are_seen_on_paper_and_without_scripts():
    tags = Tags(frames(8)._repr_html_())
    boxes = [box["class"] for box in tags("div") if "frame" in box["class"].split()]
    assert [k for k, kind in enumerate(boxes) if "still" in kind] == [0, 2, 5, 7]
    # What hides the others' captions and shows the slider holds on a screen only.
    printed, _, screen = STYLE.partition("@media screen")
    assert "data-live" not in printed and "data-live" in screen
    boxes = [b["class"] for b in Tags(frames(2)._repr_html_())("div") if "frame" in b["class"]]
    assert sum("frame still" in kind for kind in boxes) == 2


def test_nothing_is_fetched_and_nothing_can_clash():
    html = frames()._repr_html_()
    tags = Tags(html)
    assert "http" not in html and "//" not in SCRIPT.replace("  // ", "") and "url(" not in html
    assert not tags("link") and tags("script") == [{}]
    # No ids, so none is there twice; every player finds its own parts.
    assert not any("id" in attributes or "for" in attributes for _, attributes in tags.found)
    assert "document.getElementById" not in html


def test_the_same_figure_gives_the_same_page():
    assert frames()._repr_html_() == frames()._repr_html_()
    code = (
        "from test_frames import frames; import hashlib; "
        "print(hashlib.sha256(frames()._repr_html_().encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1", "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.dirname(__file__),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(frames()._repr_html_().encode()).hexdigest()


def test_figures_are_drawn_one_at_a_time_and_closed():
    counts = []

    def drawn():
        for k in range(3):
            counts.append(len(plt.get_fignums()))
            yield figure(k)

    show.Frames(drawn(), "abc", alt="A line.")
    assert counts == [0, 0, 0] and plt.get_fignums() == []


@pytest.mark.parametrize(
    "arguments, options, error, text",
    [
        (([1, 2], "ab"), {}, TypeError, "matplotlib figures, got a <class 'int'>"),
        ((lambda: [figure(), figure()], "abc"), {}, ValueError, "2 figures and 3 labels"),
        ((lambda: [figure()], "a"), {}, ValueError, "at least two figures"),
        ((lambda: [figure(), figure()], "ab"), {"alt": " "}, ValueError, "alt must say"),
        ((lambda: [figure(), figure(size=(3, 1))], "ab"), {}, ValueError, "one size"),
        ((lambda: [figure(), figure()], "ab"), {"start": 2}, ValueError, "one of 2 labels, got 2"),
        ((lambda: [figure(), figure()], "ab"), {"limit": 1000}, ValueError, "limit of 1,000"),
    ],
)
def test_errors_say_what_was_expected(arguments, options, error, text):
    figures, labels = arguments
    figures = figures() if callable(figures) else figures
    with pytest.raises(error, match=text):
        show.Frames(figures, labels, **{"alt": "A line."} | options)
    plt.close("all")


def test_a_frame_of_the_books_size_takes_no_more_than_thirty_kilobytes():
    x = np.linspace(-1, 1, 200)

    def draw(k):
        figure, axes = plt.subplots(1, 2, figsize=(8, 2.9))
        axes[0].plot(x, np.outer(x, np.arange(5)) ** 3 + k / 30)
        axes[1].plot(np.sin(k * x))
        return figure

    with plt.rc_context(show.STYLE):
        html = show.Frames(map(draw, range(10)), range(10), alt="Lines.")._repr_html_()
    assert len(html.encode()) < 300_000  # so that 30 of them stay below the limit


def test_a_run_without_a_front_end_gets_html_and_leaves_no_widget(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    source = (
        "import matplotlib.pyplot as plt\nfrom richlib import show\n"
        "show.Frames((plt.figure(figsize=(2, 1)) for k in range(3)), 'abc', alt='Nothing.')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs  # and no stray pictures
    assert set(output.data) == {"text/plain", "text/html"}
    assert output.data["text/plain"] == "Frames: Nothing. (3 frames, frame a to c)"
    assert "widgets" not in notebook.metadata


def test_a_jupyter_server_gets_the_widget_as_well(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    bundle = frames()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", WIDGET}
    assert bundle["text/plain"].startswith("Frames: A line")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # not installed
    assert set(frames()._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_the_widgets_slider_changes_the_picture():
    moving = frames()
    picture, slider = moving.widget().children
    html = moving._repr_html_()
    sources = [image["src"] for image in Tags(html)("img")]
    assert Tags(picture.value)("img")[0]["src"] == sources[0]
    slider.value = 4
    assert Tags(picture.value)("img")[0]["src"] == sources[4]
    assert slider.label == "40" and slider.description == "step"
