"""Figures hold the data they were given; tables read well as HTML and as text."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba

from richlib import show
from richlib.lab import data, tasks


def spectra(k, scale=1.0):
    rising = np.linspace(0.1, 1, k)
    return {
        "quality": rising,
        "utilization": rising**0.5,
        "eigenvalues": scale * 0.9 ** np.arange(k),
    }


def test_three_panels_leave_out_the_constant_and_cut_at_the_shortest_seed():
    figure = show.three_panels({"rich": [spectra(30), spectra(20, 5.0)], "lazy": [spectra(9)]}, C=4)
    quality, utilization, eigenvalues = figure.axes
    rich, lazy, dotted = quality.lines
    assert list(rich.get_xdata()) == list(range(2, 21))
    assert list(lazy.get_xdata()) == list(range(2, 10))
    assert dotted.get_xdata() == [4, 4]
    assert [t.get_text() for t in quality.get_xticklabels()] == ["2", "10", "100", "1000"]
    assert (rich.get_color(), lazy.get_color()) == (show.RICH, show.LAZY)
    expected = (spectra(30)["quality"][1:20] + spectra(20)["quality"][1:]) / 2
    np.testing.assert_allclose(rich.get_ydata(), expected)
    # Relative to the first: a common scale of the features drops out.
    np.testing.assert_allclose(eigenvalues.lines[0].get_ydata(), 0.9 ** np.arange(1, 20))
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == ["rich", "lazy"]
    (band,) = quality.collections  # where there are two seeds, none where there is one
    assert to_rgba(show.RICH)[:3] == tuple(band.get_facecolor()[0, :3])


def test_bands_have_the_color_of_their_line_whatever_its_label():
    axes = show.three_panels({label: [spectra(9)] * 2 for label in "ab"}, C=4).axes[0]
    for band, line in zip(axes.collections, axes.lines[:2], strict=True):
        assert to_rgba(line.get_color())[:3] == tuple(band.get_facecolor()[0, :3])


def test_a_page_may_have_its_own_cycle_of_colors():
    with plt.rc_context({"axes.prop_cycle": plt.cycler(color=["#111111", "#222222"])}):
        lines = show.three_panels({k: [spectra(9)] for k in "ab"}, C=4).axes[0].lines
    assert [line.get_color() for line in lines[:2]] == ["#111111", "#222222"]
    lines = show.three_panels({k: [spectra(9)] for k in "ab"}, C=4).axes[0].lines
    assert tuple(line.get_color() for line in lines[:2]) == show.OTHERS[:2]


def test_epochs_go_from_dark_to_light():
    kept = {f"epoch{n}/{k}": v for n in range(1, 8) for k, v in spectra(9).items()}
    lines = show.through_training(kept | spectra(9), C=4).axes[0].lines[:-1]  # without the dotted
    brightness = [sum(to_rgba(line.get_color())[:3]) for line in lines]
    assert len(lines) == 8 and brightness == sorted(set(brightness))


def test_training_curves():
    curves = {"epoch": [0, 1, 5], "accuracy_test": [0.1, 0.5, 0.9], "dlr_train": [0.6, 0.3, 0.1]}
    figure = show.training({"lazy": [curves]})
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.1, 0.5, 0.9]
    assert list(figure.axes[1].lines[0].get_ydata()) == [0.6, 0.3, 0.1]
    (axes,) = show.training({"lazy": [curves]}, metrics=["dlr_train"]).axes
    assert list(axes.lines[0].get_xdata()) == [0, 1, 5]


def test_surprise_shows_means_and_the_measure():
    train, test = tasks.encoded_labels(
        data.load("digits"), seed=0, strength=1.0, pixels="unit", alpha=1.0
    )
    values = {"accuracy_train": 1.0, "accuracy_test": 0.1, "dlr_train": 0.01}
    full = [SimpleNamespace(metrics=values | {"accuracy_test": a}) for a in (0.1, 0.3)]
    last = [SimpleNamespace(metrics=values | {"dlr_train": 0.6})]
    axes = show.surprise(train, test, full, last).axes[-1]
    assert [round(bar.get_height()) for bar in axes.patches] == [100, 20, 100, 10]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "0.01" in labels[0] and "0.6" in labels[1]


def test_figures_are_closed_so_that_a_notebook_shows_them_once():
    show.pictures(np.zeros((2, 3, 3)), ["a", "b"])
    show.three_panels({"rich": [spectra(5)]}, C=2)
    assert plt.get_fignums() == []


def test_pictures_need_a_title_each():
    with pytest.raises(ValueError):
        show.pictures(np.zeros((2, 3, 3)), ["a", "b", "c"])
    plt.close("all")


def test_tables():
    table = show.Table([{"a": "x<y", "bc": 1}, {"a": "long cell", "bc": 22}])
    assert repr(table).splitlines() == ["a          bc", "x<y        1", "long cell  22"]
    assert "<td>x&lt;y</td><td>1</td>" in table._repr_html_()
    with pytest.raises(ValueError, match="at least one row"):
        show.Table([])


def test_rows_of_tables_can_be_linked_to():
    html = show.Table([{"a": "1"}, {"a": "2"}], anchors=["one", "two"])._repr_html_()
    assert '<tr id="one"><td>1</td></tr><tr id="two"><td>2</td></tr>' in html
    with pytest.raises(ValueError, match="2 rows need as many anchors, got 1"):
        show.Table([{"a": "1"}, {"a": "2"}], anchors=["one"])


def test_a_dot_has_its_color_and_is_text_in_a_terminal():
    table = show.Table([{"a": show.Dot("x<y", "#009E73")}])
    assert '"background: #009E73;' in table._repr_html_() and "x&lt;y</td>" in table._repr_html_()
    assert repr(table).splitlines()[1] == "x<y"


def test_symbols_in_tables_have_their_index_below_the_line():
    table = show.Table(
        [{"D_LR, test": "Tr Σ_W, S_init, ρ_{C+1}/ρ_C, no_symbol", "b": show.Link("D_LR", "p")}]
    )
    html, D_LR = table._repr_html_(), "<i>D</i><sub>LR</sub>"
    assert f"<th>{D_LR}, test</th>" in html and f'<a href="p">{D_LR}</a>' in html
    assert "Tr <i>Σ</i><sub>W</sub>, <i>S</i><sub>init</sub>, " in html
    assert "<i>ρ</i><sub>C+1</sub>/<i>ρ</i><sub>C</sub>, no_symbol" in html
    assert "D_LR, test" in repr(table)
    html = show.Table([{"in e_1, ratio s^2": "file_1, one_e_2, 2^3"}])._repr_html_()
    assert "in <i>e</i><sub>1</sub>, ratio <i>s</i><sup>2</sup>" in html
    assert "file_1, one_e_2, 2^3" in html
    html = show.Table([{"Π̂(C)": "Q̂"}])._repr_html_()
    assert ">Π<span" in html and ">Q<span" in html and "\u0302" not in html


def test_long_cells_of_tables_may_break():
    html = show.Table([{"a": "0.024, 0.0348, 0.0374", "b": "0.024, 0.0348"}])._repr_html_()
    assert '<td class="wide">0.024, 0.0348, 0.0374</td><td>0.024, 0.0348</td>' in html


def test_links_in_tables_lead_there_and_are_text_in_a_terminal():
    table = show.Table([{"a": show.Link("x<y", 'p.html?"q"'), "b": "<i>"}, {"a": "zz", "b": 1}])
    expected = '<td><a href="p.html?&quot;q&quot;">x&lt;y</a></td><td>&lt;i&gt;</td>'
    assert expected in table._repr_html_()
    assert repr(table).splitlines()[1:] == ["x<y  <i>", "zz   1"]
