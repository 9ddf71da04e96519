import numpy as np
import pytest
import torch

from richlib.lab import data
from richlib.lab.tasks import encoded_labels

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
