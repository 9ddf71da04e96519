"""Figures of the book: one style, one colour for rich and one for lazy, everywhere."""

from collections.abc import Mapping, Sequence
from html import escape

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

# From the palette of Okabe and Ito (2008), told apart by the colour-blind, in print and in grey.
RICH, LAZY, PAPER, INK = "#D55E00", "#0072B2", "#009E73", "#333333"
COLORS = {"rich": RICH, "lazy": LAZY}

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
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def three_panels(models: Mapping[str, Sequence], C: int) -> Figure:
    """The paper's three-panel picture (Fig. 1c): quality, utilization, eigenvalues.

    models: a label ("rich", "lazy", ...) to the spectra of its seeds, each a dict of the lists
    "quality", "utilization" and "eigenvalues" as a record has it. The line is the mean over the
    seeds, the band one standard deviation. C: number of classes, drawn as a dotted line. The first
    eigenfunction, the constant, is left out: curves begin at k = 2.
    """
    panels = (
        ("quality", "(i) cumulative quality", r"share of the target, $\Pi^*(k)$"),
        ("utilization", "(ii) cumulative utilization", r"share of the output, $\hat\Pi(k)$"),
        ("eigenvalues", "(iii) relative eigenvalues", r"$\rho_k\,/\,\rho_1$"),
    )
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(10, 3.1))
        for ax, (key, title, ylabel) in zip(axes, panels, strict=True):
            for label, seeds in models.items():
                _seeds(ax, [_panel(spectra[key], key) for spectra in seeds], label)
            ax.axvline(C, color=INK, linestyle=":", linewidth=1)
            ax.set(title=title, xlabel="eigenfunction $k$", ylabel=ylabel, xscale="log")
            if key == "eigenvalues":
                ax.set(yscale="log", ylim=(1e-7, 1.5))
            else:
                ax.set_ylim(-0.03, 1.05)
        axes[1].legend(loc="lower right")
    plt.close(figure)
    return figure


def _panel(values: Sequence[float], key: str) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    return values[1:] / values[0] if key == "eigenvalues" else values[1:]


def _seeds(ax, curves: list[np.ndarray], label: str, x=None) -> None:
    """Mean and one standard deviation over the seeds, up to where all of them have values."""
    length = min(map(len, curves))
    values = np.stack([curve[:length] for curve in curves])  # (seeds, k)
    x = np.arange(2, length + 2) if x is None else x
    color = COLORS.get(label)
    ax.plot(x, values.mean(0), color=color, label=label)
    if len(curves) > 1:
        spread = values.std(0, ddof=1)
        low, high = values.mean(0) - spread, values.mean(0) + spread
        ax.fill_between(x, low, high, color=color, alpha=0.25, linewidth=0)


def training(models: Mapping[str, Sequence]) -> Figure:
    """Test accuracy and D_LR (on training samples) over the epochs.

    models: a label to the curves of its seeds, each a dict of lists as a record has it. The line is
    the mean over the seeds, the band one standard deviation.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(8, 3.1))
        panels = (("accuracy_test", "test accuracy"), ("dlr_train", r"$D_{LR}$ (0 rich, 1 lazy)"))
        for ax, (key, ylabel) in zip(axes, panels, strict=True):
            for label, seeds in models.items():
                values = [np.asarray(curves[key], dtype=float) for curves in seeds]
                _seeds(ax, values, label, x=seeds[0]["epoch"])
            ax.set(xlabel="epoch", ylabel=ylabel, ylim=(0, 1))
            ax.set_xscale("symlog", linthresh=1)  # the first epochs are where things happen
            ax.set_xlim(left=0)
            ax.xaxis.set_major_formatter("{x:.0f}")
        axes[0].legend()
    plt.close(figure)
    return figure


def pictures(images, titles: Sequence[str]) -> Figure:
    """Grey pictures (n, H, W) in a row, each with its title."""
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = plt.subplots(1, len(titles), figsize=(1.6 * len(titles), 2.0))
        for ax, image, title in zip(np.atleast_1d(axes), images, titles, strict=True):
            ax.imshow(np.asarray(image), cmap="gray_r")
            ax.set(title=title, xticks=[], yticks=[])
    plt.close(figure)
    return figure


class Table:
    """Rows of text: HTML in a notebook and in the book, aligned columns in a terminal."""

    def __init__(self, rows: Sequence[Mapping[str, str]]):
        if not rows:
            raise ValueError("a table needs at least one row")
        self.rows = [dict(row) for row in rows]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.rows[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row.values()) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        lines = [list(self.rows[0])] + [[str(v) for v in row.values()] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
