"""What the chapter "Rich is not the same as good" says of its records."""

import pytest

from richlib.lab import records


@pytest.mark.parametrize("variant, last", [("full", 0.19), ("last-layer", 0.78)])
def test_how_much_of_the_labels_the_features_express_at_full_size(variant, last):
    """Π* at the full rank: "0.19, of which 0.10 is the constant's", and "almost 0.8"."""
    runs = records.load("encoded-labels", variant, "paper")
    ends = [record.spectra["quality"][-1] for record in runs]
    assert sum(ends) / len(ends) == pytest.approx(last, abs=0.006)
    for record in runs:  # the constant is among the first ten
        assert record.spectra["quality"][9] > 0.1


def test_one_change_keeps_training_calm_and_blinds_the_lazy_network():
    code, lazy = (
        records.load("encoded-labels-jumps", variant, "paper")[0]
        for variant in ("strong-code", "strong-code-last-layer")
    )
    assert code.recipe["encoding"] == 3  # times the darkest ink
    assert code.curves["dlr_train"][-1] < 0.0087
    assert lazy.curves["accuracy_test"][-1] < 0.12
