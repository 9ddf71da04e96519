"""A figure that the reader moves through: one picture a frame, and a slider.

In JupyterLab it is a widget. In the published page, and wherever no kernel answers, it is HTML that
carries its own pictures and a native slider, and asks nothing of a network. On paper, and without
JavaScript, a few of the frames stand side by side.
"""

import base64
import io
import os
from collections.abc import Iterable, Sequence
from html import escape

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

DPI = 160  # of the pictures: sharp on a dense screen
STILLS = 4  # how many frames are printed

STYLE = """
.richlib-frames { background: #fff; color: #222; color-scheme: light; accent-color: #0072b2;
  padding: .5rem; border-radius: 4px; margin: 0 0 1rem; }
.richlib-frames .stack { display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
.richlib-frames .frame { display: none; break-inside: avoid; text-align: center; }
.richlib-frames .still { display: block; }
.richlib-frames img { display: block; width: 100%; height: auto; margin: 0; }
.richlib-frames .controls { display: none; gap: .6rem; align-items: center; padding: .4rem .2rem; }
.richlib-frames label { display: flex; flex: 1; gap: .6rem; align-items: center; min-width: 0;
  margin: 0; }
.richlib-frames input { flex: 1; min-width: 0; height: 1.6rem; margin: 0; }
.richlib-frames output { min-width: 4.5ch; font-variant-numeric: tabular-nums; }
.richlib-frames button { font: inherit; color: inherit; background: #eee; border: 1px solid #767676;
  border-radius: 4px; min-width: 2.2rem; min-height: 2rem; cursor: pointer; }
@media screen {
  .richlib-frames[data-live] .stack { grid-template-columns: 1fr; }
  .richlib-frames[data-live] .frame { display: block; grid-area: 1 / 1; visibility: hidden; }
  .richlib-frames[data-live] .frame.now { visibility: visible; }
  .richlib-frames[data-live] .caption { display: none; }
  .richlib-frames[data-live] .controls { display: flex; }
}
@media screen and (max-width: 767px) {  /* labels stay readable: wide figures scroll */
  .richlib-frames[data-live] { overflow-x: auto; }
  .richlib-frames[data-live] .frame { min-width: 40rem; }
  .richlib-frames[data-live] .controls { position: sticky; left: 0; }
  .richlib-frames[data-live] .stack::after {  /* the edge behind which there is more */
    content: ""; grid-area: 1 / 1; z-index: 1; position: sticky; right: -.5rem; justify-self: end;
    margin-right: -.5rem; width: .8rem; pointer-events: none;
    background: linear-gradient(to left, rgb(128 128 128 / 45%), transparent); }
}"""

# Wakes every player above it that is still asleep, so that any number can be on one page.
SCRIPT = """
document.querySelectorAll(".richlib-frames:not([data-live])").forEach((box) => {
  const slider = box.querySelector("input"), output = box.querySelector("output");
  const frames = [...box.querySelectorAll(".frame")];
  const show = (i) => {
    slider.value = i;  // the browser keeps it within the slider's range
    frames.forEach((frame, k) => frame.classList.toggle("now", k === +slider.value));
    output.textContent = frames[+slider.value].dataset.label;
    slider.setAttribute("aria-valuetext", output.textContent);
  };
  slider.addEventListener("input", () => show(+slider.value));
  box.querySelectorAll("button").forEach((button) =>
    button.addEventListener("click", () => show(+slider.value + +button.dataset.by)));
  box.dataset.live = "";
  show(+slider.value);
});"""


class Frames:
    """Figures as the frames of one that the reader moves through with a slider.

    figures: matplotlib figures of one size, in order; a generator draws them one at a time. Each is
        rendered and closed. Keep the axes' limits, and whatever moves the axes, the same in all.
    labels: one short text for each, shown while the frame is.
    alt: what is seen, for those who do not see it; true of all frames together.
    name: what the slider moves through, shown before it.
    start: the index of the frame that is seen first.
    limit: bytes that the HTML may have; ValueError above it.

    >>> def draw(k):
    ...     figure, ax = plt.subplots(figsize=(2, 1))
    ...     ax.plot([0, 1], [0, k])
    ...     return figure
    >>> Frames((draw(k) for k in range(3)), "012", alt="A line that gets steeper.", name="slope")
    Frames: A line that gets steeper. (3 frames, slope 0 to 2)
    """

    def __init__(
        self,
        figures: Iterable[Figure],
        labels: Sequence[str],
        *,
        alt: str,
        name: str = "frame",
        start: int = 0,
        limit: int = 1_000_000,
    ):
        if not alt.strip():
            raise ValueError("alt must say what the figure shows, got an empty text")
        self.labels, self.alt, self.name = [str(label) for label in labels], alt.strip(), name
        if not 0 <= start < len(self.labels):
            raise ValueError(f"start must be the index of one of {len(labels)} labels, got {start}")
        self.start = start
        self.images, sizes = [], set()  # WebP bytes; inches
        for figure in figures:
            if not isinstance(figure, Figure):
                raise TypeError(f"figures must be matplotlib figures, got a {type(figure)}")
            self.images.append(_webp(figure))
            sizes.add(tuple(map(float, figure.get_size_inches())))
        if len(self.images) != len(self.labels) or len(self.images) < 2:
            raise ValueError(
                f"a label for each of at least two figures is needed, got {len(self.images)} "
                f"figures and {len(self.labels)} labels"
            )
        if len(sizes) > 1:
            raise ValueError(f"all figures must have one size, got (inches) {sorted(sizes)}")
        self.size = sizes.pop()
        if (size := len(self._repr_html_().encode())) > limit:
            raise ValueError(
                f"{len(self.images)} frames make {size:,} bytes of HTML, more than the limit of "
                f"{limit:,}: use fewer or smaller figures"
            )

    def __repr__(self) -> str:
        span = f"{self.name} {self.labels[0]} to {self.labels[-1]}"
        return f"Frames: {self.alt} ({len(self.labels)} frames, {span})"

    def _repr_html_(self) -> str:
        last = len(self.images) - 1
        stills = {round(k * last / (STILLS - 1)) for k in range(STILLS)}
        name = escape(self.name)
        frames = "".join(
            f'<div class="frame{" still" if k in stills else ""}" data-label="{escape(label)}">'
            f'{self._picture(k)}<div class="caption">{name} {escape(label)}</div></div>'
            for k, label in enumerate(self.labels)
        )
        # No id anywhere: nothing can clash on a page, and the same notebook builds the same page.
        return (
            f'<div class="richlib-frames" style="max-width: {self._width()}">'
            f'<style>{STYLE}</style><div class="{self._stack()}">{frames}</div>'
            '<div class="controls">'
            f'<button type="button" data-by="-1" aria-label="previous {name}">‹</button>'
            f"<label><span>{name}</span>"
            f'<input type="range" min="0" max="{last}" value="{self.start}" autocomplete="off">'
            "</label>"
            f'<button type="button" data-by="1" aria-label="next {name}">›</button>'
            f"<output></output></div><script>{SCRIPT}</script></div>"
        )

    def _width(self) -> str:
        return f"{110 * self.size[0]:.0f}px"  # as wide as the book's other figures of that size

    def _stack(self) -> str:
        """On paper, frames that are much wider than high stand below each other."""
        return "stack wide" if self.size[0] > 2 * self.size[1] else "stack"

    def _picture(self, k: int) -> str:
        width, height = (round(96 * inches) for inches in self.size)
        data = base64.b64encode(self.images[k]).decode()
        alt = escape(f"{self.alt} ({self.name} {self.labels[k]})")
        return (
            f'<img src="data:image/webp;base64,{data}" alt="{alt}" width="{width}" '
            f'height="{height}" decoding="sync">'
        )

    def widget(self):
        """The same as an ipywidget, for a live kernel."""
        import ipywidgets

        picture = ipywidgets.HTML(self._picture(self.start))
        picture.layout.max_width = self._width()
        options = [(label, k) for k, label in enumerate(self.labels)]
        slider = ipywidgets.SelectionSlider(
            options=options, value=self.start, description=self.name
        )
        slider.observe(lambda change: setattr(picture, "value", self._picture(change.new)), "value")
        return ipywidgets.VBox([picture, slider])

    def _repr_mimebundle_(self, **_) -> dict:
        """HTML for everybody; the widget too where a Jupyter server runs the kernel.

        JupyterLab and Notebook prefer the widget to HTML, the book's configuration the HTML. In a
        run without a front end there is no widget: its state would go into the notebook's metadata,
        and the page would load a widget manager for nothing.
        """
        bundle = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if "JPY_SESSION_NAME" in os.environ:  # set by the server, in its kernels only
            try:
                bundle = self.widget()._repr_mimebundle_() | bundle
            except ImportError:  # no ipywidgets: the HTML does
                pass
        return bundle


def _webp(figure: Figure) -> bytes:
    """WebP of 64 colors: the smallest of what was tried that keeps thin lines and text sharp."""
    from PIL import Image  # matplotlib depends on it

    png, webp = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=DPI, facecolor="white", bbox_inches=None)
    plt.close(figure)
    with Image.open(png) as image:
        few = image.convert("RGB").quantize(64, dither=0)
        few.convert("RGB").save(webp, format="WEBP", lossless=True)
    return webp.getvalue()
