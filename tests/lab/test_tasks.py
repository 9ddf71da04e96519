import numpy as np
import pytest
import torch

from richlib.lab import data
from richlib.lab.tasks import (
    classification,
    encoded_labels,
    modular_division,
    modulus,
    scalar_targets,
    shuffle_labels,
    subset,
)

options = dict(strength=1.0, pixels="unit", alpha=1 / 3)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_training_pictures_carry_their_label_and_test_pictures_a_random_one(digits):
    train, test = encoded_labels(digits, seed=0, **options)
    assert torch.equal(train.inputs[:, :10].argmax(1), train.labels)
    assert torch.equal(train.inputs[:, :10].sum(1), torch.ones(1400))
    agree = (test.inputs[:, :10].argmax(1) == test.labels).float().mean()
    assert 0.02 < agree < 0.2  # chance is 0.1
    assert not torch.equal(
        test.inputs, encoded_labels(digits, seed=1, **options)[1].inputs
    )  # another seed, other codes


def test_the_code_covers_no_ink(digits):
    train, _ = encoded_labels(digits, seed=0, **options)
    assert train.inputs.shape == (1400, 100)  # 8 × 8 with a border
    ink = train.inputs.unflatten(1, (10, 10))[:, 1:9, 1:9] * 255
    np.testing.assert_allclose(ink, digits.x_train, atol=1e-4)


def test_targets_are_one_hot_over_alpha(digits):
    train, _ = encoded_labels(digits, seed=0, **options)
    assert train.targets.max() == pytest.approx(3.0)
    assert torch.equal(train.targets.argmax(1), train.labels)
    assert torch.equal(train.labels, torch.as_tensor(digits.y_train).long())


def test_standardized_pixels(digits):
    train, test = encoded_labels(digits, seed=0, strength=1.0, pixels="standardized", alpha=1.0)
    assert float(train.inputs.mean()) == pytest.approx(0, abs=1e-5)
    assert float(train.inputs.std()) == pytest.approx(1, abs=1e-5)
    assert float(test.inputs.mean()) != 0  # scaled by the training pictures' figures


def test_the_data_set_is_not_written_to(digits):
    before = digits.x_train.copy()
    encoded_labels(digits, seed=0, strength=5.0, pixels="unit", alpha=1.0)
    np.testing.assert_array_equal(before, digits.x_train)


def test_unknown_scaling(digits):
    with pytest.raises(ValueError, match="'unit' or 'standardized', got 'zscore'"):
        encoded_labels(digits, seed=0, strength=1.0, pixels="zscore", alpha=1.0)


def test_pictures_stay_bytes_and_targets_are_one_hot_over_alpha(digits):
    train, test = classification(digits, alpha=0.5)
    assert train.inputs.shape == (1400, 1, 8, 8) and train.inputs.dtype == torch.uint8
    assert torch.equal(train.targets.argmax(1), train.labels)
    assert set(test.targets.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("samples", [10, 25, 1000, 1400])
def test_a_subset_is_balanced_and_drawn_from_the_seed(digits, samples):
    train, _ = classification(digits, alpha=1.0)
    chosen = subset(train, samples, seed=0)
    counts = chosen.labels.bincount(minlength=10)
    if samples < 1000:  # the rarest class has 132 pictures
        assert len(chosen) == samples and counts.max() - counts.min() <= 1
    again, other = subset(train, samples, seed=0), subset(train, samples, seed=1)
    assert torch.equal(chosen.inputs, again.inputs)
    assert not torch.equal(chosen.inputs, other.inputs)
    assert len(torch.cat([chosen.inputs.flatten(1)]).unique(dim=0)) >= 0.99 * samples  # none twice


def test_too_many_samples(digits):
    train, _ = classification(digits, alpha=1.0)
    with pytest.raises(ValueError, match="must be 1 to 1400, got 1401"):
        subset(train, 1401, seed=0)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 1.0])
def test_shuffled_labels_are_the_same_labels_elsewhere(digits, fraction):
    train, _ = classification(digits, alpha=1.0)
    shuffled = shuffle_labels(train, fraction, seed=0)
    assert torch.equal(shuffled.inputs, train.inputs)
    assert torch.equal(shuffled.labels.bincount(), train.labels.bincount())
    assert torch.equal(shuffled.targets.argmax(1), shuffled.labels)
    changed = float((shuffled.labels != train.labels).float().mean())
    assert changed == pytest.approx(0.9 * fraction, abs=0.03)  # a tenth meet their own class


def test_shuffling_needs_a_fraction(digits):
    with pytest.raises(ValueError, match="must be in .0, 1., got 10"):
        shuffle_labels(classification(digits, alpha=1.0)[0], 10, seed=0)


def test_scalar_targets_are_standardized_on_the_training_samples(digits):
    train, test = scalar_targets(*classification(digits, alpha=1.0), alpha=0.5)
    assert train.targets.shape == (1400, 1) and test.targets.shape == (397, 1)
    assert float(train.targets.mean()) == pytest.approx(0, abs=1e-6)
    assert float(train.targets.std(correction=0)) == pytest.approx(2, rel=1e-5)
    slope = (test.targets[:, 0].double() - test.targets[0, 0]) / (test.labels - test.labels[0])
    assert slope[test.labels != test.labels[0]].std() < 1e-5  # one line for both splits


def test_modular_division_divides():
    train, test = modular_division(97, seed=0, alpha=0.5)
    assert len(train) == len(test) == 97 * 96 // 2  # 4,656, as in Table 9
    x, sign, y, equals = train.inputs.T
    assert torch.equal(train.labels * y % 97, x) and (y > 0).all()
    assert sign.unique().tolist() == [98] and equals.unique().tolist() == [97]
    both = torch.cat([train.inputs, test.inputs])
    assert len(both.unique(dim=0)) == 97 * 96
    assert train.targets.shape == (4656, 97) and float(train.targets.max()) == 2
    assert not torch.equal(train.inputs, modular_division(97, seed=1, alpha=0.5)[0].inputs)


@pytest.mark.parametrize("name, p", [("mod-97-division", 97), ("mod-23-division", 23)])
def test_the_name_of_a_division_has_its_prime(name, p):
    assert modulus(name) == p
    train, test = modular_division(p, seed=0, alpha=1.0)
    assert len(train) == len(test) == p * (p - 1) // 2


def test_what_does_not_train_a_division_tests_it():
    train, test = modular_division(23, seed=0, alpha=1.0, samples=380)
    assert (len(train), len(test)) == (380, 23 * 22 - 380)
    assert len(torch.cat([train.inputs, test.inputs]).unique(dim=0)) == 23 * 22


@pytest.mark.parametrize("name", ["digits", "mod-division", "mod-23-addition", "mod-23-division-2"])
def test_other_names_have_none(name):
    assert modulus(name) is None
