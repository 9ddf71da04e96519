"""Figures of the book: one style, one color for rich and one for lazy, everywhere."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from richlib.frames import Frames as Frames

# From the palette of Okabe and Ito (2008), told apart by the color-blind, in print and in gray.
RICH, LAZY, INK = "#D55E00", "#0072B2", "#333333"
COLORS = {"rich": RICH, "lazy": LAZY}
GREEN, PURPLE, SKY, ORANGE, GRAY = "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#888888"
OTHERS = (GREEN, PURPLE, SKY, ORANGE, GRAY)  # what is neither rich nor lazy, in turn

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=OTHERS),
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
# Pictures have a frame, and no grid over them.
FRAMED = {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}


def set_style() -> None:
    """Give the figures that a notebook draws with matplotlib itself the book's style."""
    plt.rcParams.update(STYLE)


def _style(**more):
    """The book's style, but in the caller's cycle of colors where it has one of its own."""
    cycle = plt.rcParams["axes.prop_cycle"]
    default = cycle == plt.rcParamsDefault["axes.prop_cycle"]
    return plt.rc_context(STYLE | more | ({} if default else {"axes.prop_cycle": cycle}))


def three_panels(models: Mapping[str, Sequence], C: int) -> Figure:
    """The paper's three-panel picture (Fig. 1c): quality, utilization, eigenvalues.

    models: a label ("rich", "lazy", ...) to the spectra of its seeds, each a dict of the lists
    "quality", "utilization" and "eigenvalues" as a record has it. The line is the mean over the
    seeds, the band one standard deviation. C: number of classes, drawn as a dotted line.

    The first eigenfunction, often the constant, is left out: curves begin at k = 2.
    """
    panels = (
        ("quality", r"(i) quality $\Pi^*(k)$"),
        ("utilization", r"(ii) utilization $\hat\Pi(k)$"),
        ("eigenvalues", r"(iii) eigenvalues $\rho_k\,/\,\rho_1$"),
    )
    with _style():
        figure, axes = plt.subplots(1, 3, figsize=(8, 2.9))
        for ax, (key, title) in zip(axes, panels, strict=True):
            for label, seeds in models.items():
                _seeds(ax, [_panel(spectra[key], key) for spectra in seeds], label)
            ax.axvline(C, color=INK, linestyle=":", linewidth=1)
            ax.set(title=title, xlabel="eigenfunction $k$", xscale="log")
            ax.set_xticks([2, 10, 100, 1000], labels=["2", "10", "100", "1000"])
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_xlim(1.7, 1.2 * max(line.get_xdata()[-1] for line in ax.lines))
            if key == "eigenvalues":
                ax.set(yscale="log", ylim=(1e-7, 1.5))
            else:
                ax.set_ylim(-0.03, 1.05)
        _legend_above(figure, axes[0])
    plt.close(figure)
    return figure


def _legend_above(figure: Figure, ax) -> None:
    """One legend for all panels, above them: labels are long, and curves fill the panels."""
    handles, labels = ax.get_legend_handles_labels()
    fitting = int(12.5 * figure.get_figwidth()) // (max(map(len, labels)) + 6)
    columns = max(1, min(len(labels), fitting))
    # At the left, where a phone shows it before one scrolls.
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)
    figure.set_figheight(2.8 + 0.2 * -(-len(labels) // columns))


def _panel(values: Sequence[float], key: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values[1:] / values[0] if key == "eigenvalues" else values[1:]


def _seeds(ax, curves: list[np.ndarray], label: str, x=None, **style) -> None:
    """Mean and one standard deviation over the seeds, up to where all of them have values."""
    length = min(map(len, curves))
    values = np.stack([curve[:length] for curve in curves])  # (seeds, k)
    x = np.arange(2, length + 2) if x is None else x
    color = COLORS.get(label.partition(" [")[0])
    (line,) = ax.plot(x, values.mean(0), color=color, label=label, **style)
    if len(curves) > 1:
        spread = values.std(0, ddof=1)
        low, high = values.mean(0) - spread, values.mean(0) + spread
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.25, linewidth=0)


def through_training(spectra: Mapping[str, Sequence], C: int, epochs: Sequence[int] = ()) -> Figure:
    """The three-panel picture at several epochs of one run (Figs. 5, 12, 14, 17), and at its end.

    spectra: of a record, which keeps those of some epochs as "epochN/quality" and so on.
    epochs: which of these; all by default, from dark to light. ValueError where one was not kept.
    """
    kept = sorted(
        int(key[5:-8]) for key in spectra if key.startswith("epoch") and "/quality" in key
    )
    if missing := sorted(set(epochs) - set(kept)):
        raise ValueError(f"this record keeps spectra of the epochs {kept}, not of {missing}")
    panels = ("quality", "utilization", "eigenvalues")
    models = {
        f"epoch {n}": [{key: spectra[f"epoch{n}/{key}"] for key in panels}] for n in epochs or kept
    } | {"end": [spectra]}
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(models)))
    with plt.rc_context({"axes.prop_cycle": cycler(color=colors)}):
        return three_panels(models, C)


CURVES = {
    "accuracy_train": "training accuracy",
    "accuracy_test": "test accuracy",
    "dlr_train": r"$D_{LR}$ (0 rich, 1 lazy)",
    "dlr_test": r"$D_{LR}$ on test samples",
    "parameter_norm": r"$\|\theta\|^2$",
}


def training(
    models: Mapping[str, Sequence], metrics: Sequence[str] = ("accuracy_test", "dlr_train")
) -> Figure:
    """Metrics over the epochs, a panel each; D_LR is on training samples.

    models: a label to the curves of its seeds, each a dict of lists as a record has it. The line is
    the mean over the seeds, the band one standard deviation. metrics: of `CURVES`.
    """
    with _style():
        figure, axes = plt.subplots(1, len(metrics), figsize=(3.75 * len(metrics), 2.9))
        for ax, key in zip(np.atleast_1d(axes), metrics, strict=True):
            for label, seeds in models.items():
                values = [np.asarray(curves[key], dtype=float) for curves in seeds]
                _seeds(ax, values, label, x=seeds[0]["epoch"], marker="o", markersize=3)
            ax.set(xlabel="epoch", ylabel=CURVES[key])
            ax.set_ylim(0, None if key == "parameter_norm" else 1)
            ax.set_xscale("symlog", linthresh=1)  # the first epochs are where things happen
            ax.set_xlim(left=0)
            ax.xaxis.set_major_formatter("{x:.0f}")
        _legend_above(figure, np.atleast_1d(axes)[0])
    plt.close(figure)
    return figure


def pictures(images, titles: Sequence[str]) -> Figure:
    """Grey pictures (n, H, W) in a row, each with its title."""
    with _style(**FRAMED):
        figure, axes = plt.subplots(1, len(titles), figsize=(1.4 * len(titles), 1.8))
        for ax, image, title in zip(np.atleast_1d(axes), images, titles, strict=True):
            ax.imshow(np.asarray(image), cmap="gray_r")
            ax.set(title=title, xticks=[], yticks=[])
    plt.close(figure)
    return figure


def surprise(train, test, full: Sequence, last: Sequence) -> Figure:
    """Encoded labels in one picture: a training and a test digit, and the accuracies.

    train and test: the splits of `richlib.lab.tasks.encoded_labels`; full and last: the records of
    full backpropagation and of last-layer-only training, a bar each, with one standard deviation
    over the seeds.
    """
    with _style(**{"axes.grid": False}):
        figure = plt.figure(figsize=(5.4, 3.9))  # narrow: on a phone its letters are read, too
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 2.4))
        for row, (split, kind) in enumerate(((train, "training"), (test, "test"))):
            ax = figure.add_subplot(grid[row, 0])
            side = int(split.inputs.shape[1] ** 0.5)
            ax.imshow(split.inputs[0].reshape(side, side).numpy(), cmap="gray_r")
            ax.spines[:].set_visible(True)
            code, digit = int(split.inputs[0, :10].argmax()), int(split.labels[0])
            ax.set(title=f"{kind} picture", xlabel=f"a {digit}, coded {code}", xticks=[], yticks=[])
        ax = figure.add_subplot(grid[:, 1])
        for offset, (label, records) in ((-0.2, ("rich", full)), (0.2, ("lazy", last))):
            _accuracy_bars(ax, offset, label, records)
        ax.set(xticks=[0, 1], xticklabels=["training pictures", "test pictures"], ylim=(0, 105))
        ax.set_ylabel("accuracy, %")
        ax.legend(
            title="$D_{LR}$ on training pictures",
            loc="lower center",
            bbox_to_anchor=(0.45, 1),
            ncols=2,
            fontsize=10,
        )
    plt.close(figure)
    return figure


def _accuracy_bars(ax, offset: float, label: str, records: Sequence) -> None:
    metrics = ("accuracy_train", "accuracy_test")
    values = 100 * np.array([[record.metrics[m] for m in metrics] for record in records])
    dlr = np.mean([record.metrics["dlr_train"] for record in records])
    spread = values.std(0, ddof=1) if len(records) > 1 else None
    bars = ax.bar(
        np.arange(2) + offset,
        values.mean(0),
        width=0.38,
        yerr=spread,
        color=COLORS[label],
        label=f"{label}: {dlr:.2f}",
    )
    ax.bar_label(bars, fmt="%.0f", padding=2)


@dataclass(frozen=True)
class Link:
    """A cell of a `Table` that leads somewhere; in a terminal, its text."""

    text: str
    href: str

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<a href="{escape(self.href)}">{_typeset(self.text)}</a>'


@dataclass(frozen=True)
class Dot:
    """A cell of a `Table` with a dot of color before its text; in a terminal, its text."""

    text: str
    color: str

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        style = f"background: {escape(self.color)}; border-radius: 50%; display: inline-block; "
        style += "height: 0.65em; width: 0.65em; margin-right: 0.5em"
        return f'<span style="{style}"></span>{_typeset(self.text)}'


class Table:
    """Rows of text: HTML in a notebook and in the book, aligned columns in a terminal.

    anchors: a name for each row that links can lead to, if any.
    """

    def __init__(self, rows: Sequence[Mapping[str, str]], anchors: Sequence[str] = ()):
        if not rows:
            raise ValueError("a table needs at least one row")
        if anchors and len(anchors) != len(rows):
            raise ValueError(f"{len(rows)} rows need as many anchors, got {len(anchors)}")
        self.rows = [dict(row) for row in rows]
        self.anchors = list(anchors)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{_typeset(name)}</th>" for name in self.rows[0])
        ids = [f' id="{escape(anchor)}"' for anchor in self.anchors] or [""] * len(self.rows)
        body = "".join(
            f"<tr{id}>" + "".join(map(_cell, row.values())) + "</tr>"
            for id, row in zip(ids, self.rows, strict=True)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        lines = [list(self.rows[0])] + [[str(v) for v in row.values()] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


WIDE = 20  # characters
HAT = (
    r'<span style="position: relative">\1<span style="position: absolute; left: 0; right: 0; '
    r'top: -0.55em; text-align: center">ˆ</span></span>'
)


def _cell(value) -> str:
    """A cell; "wide" if it has so much text that the page should break it into lines."""
    html = value._repr_html_() if isinstance(value, Link | Dot) else _typeset(str(value))
    return f'<td class="wide">{html}</td>' if len(str(value)) > WIDE else f"<td>{html}</td>"


def _typeset(text: str) -> str:
    """HTML of a text in which D_LR or ρ_{C+1} have their index below the line, s^2 above it, and
    Π̂ its hat over the middle, where few fonts put it.
    """
    below = r"(?<!\w)([A-ZΣρ](?=_)|e(?=_[\d{]))_(?:\{([^}]*)\}|(\w+))"
    text = re.sub(below, r"<i>\1</i><sub>\2\3</sub>", escape(text))
    text = re.sub(r"(?<!\w)([a-z])\^(\d+)", r"<i>\1</i><sup>\2</sup>", text)
    return re.sub(r"(\w)\u0302", HAT, text)
