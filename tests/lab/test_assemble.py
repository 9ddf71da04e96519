"""Recipes become what they name, or an error says what there is to name."""

import dataclasses

import pytest
import torch

from richlib.lab import assemble
from richlib.lab.experiments import EXPERIMENTS, Recipe
from richlib.lab.models import stages
from richlib.lab.plan import example

RECIPE = Recipe(data="digits")


def test_the_learning_rate_is_a_fifth_after_every_so_many_epochs():
    """Table 10: × 0.2 per 60 epochs."""
    recipe = dataclasses.replace(RECIPE, learning_rate=0.05, decay_every=60)
    rates = [assemble.learning_rate(recipe, epoch) for epoch in (1, 60, 61, 120, 121, 200)]
    assert rates == pytest.approx([0.05, 0.05, 0.01, 0.01, 0.002, 0.0004])
    assert assemble.learning_rate(RECIPE, 1000) == RECIPE.learning_rate


def test_optimizers_have_the_recipes_numbers():
    model = torch.nn.Linear(2, 2)
    sgd = dataclasses.replace(RECIPE, optimizer="sgd", momentum=0.9, weight_decay=5e-5)
    group = assemble.optimizer(sgd, model).param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-3, 0.9, 5e-5)
    group = assemble.optimizer(dataclasses.replace(RECIPE, beta2=0.98), model).param_groups[0]
    assert group["betas"] == (0.9, 0.98)


def test_only_adamw_decays_a_parameter_without_a_gradient_by_rate_times_decay():
    """Adam rescales the decay as a part of the gradient: its first step is the learning rate."""
    for name, expected in (("adamw", 1 - 0.01 * 2), ("adam", 1 - 0.01)):
        model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(model.weight)
        recipe = dataclasses.replace(RECIPE, optimizer=name, learning_rate=0.01, weight_decay=2.0)
        optimizer = assemble.optimizer(recipe, model)
        model.weight.grad = torch.zeros_like(model.weight)
        optimizer.step()
        assert float(model.weight.detach()) == pytest.approx(expected, rel=1e-5)


def test_only_what_is_trained_is_optimized():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[0].requires_grad_(False)
    parameters = assemble.optimizer(RECIPE, model).param_groups[0]["params"]
    assert [id(p) for p in parameters] == [id(p) for p in model[1].parameters()]


def test_cross_entropy_is_that_of_the_classes():
    loss = assemble.loss_function(dataclasses.replace(RECIPE, loss="cross-entropy"))
    outputs, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    targets = torch.nn.functional.one_hot(labels).float() * 3  # a scale does not matter
    expected = -outputs.log_softmax(dim=1)[torch.arange(5), labels].mean()
    torch.testing.assert_close(loss(outputs, targets), expected)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": "resnet50"}, "model must be one of .*resnet18.*, got 'resnet50'"),
        ({"model": "cnn", "pixels": "raw"}, "pixels must be .*, got 'raw'"),
        ({"loss": "hinge"}, "loss must be .*, got 'hinge'"),
        ({"optimizer": "lion"}, "optimizer must be .*, got 'lion'"),
    ],
)
def test_unknown_names(change, message):
    recipe = dataclasses.replace(RECIPE, **change)
    with pytest.raises(ValueError, match=message):
        model = assemble.network(recipe, example(recipe, 4), seed=0)
        assemble.loss_function(recipe)
        assemble.optimizer(recipe, model)


@pytest.mark.parametrize("model", ["mlp", "mlp-bn", "cnn", "resnet18", "vgg16-bn", "transformer"])
def test_networks_are_drawn_from_the_seed_and_disturb_nobody(model):
    data = "mod-97-division" if model == "transformer" else "cifar10"
    recipe = Recipe(data=data, model=model, width=16)
    split = example(recipe, 4)
    torch.manual_seed(5)
    undisturbed = torch.randn(3)
    torch.manual_seed(5)
    a, b, c = (assemble.network(recipe, split, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.randn(3), undisturbed)
    first, same, other = (torch.cat([p.flatten() for p in m.parameters()]) for m in (a, b, c))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_an_mlp_reads_the_numbers_of_a_division_through_an_embedding():
    recipe = Recipe(data="mod-23-division", width=16, hidden_layers=2)
    split = example(recipe, 4)
    model = assemble.network(recipe, split, seed=0)
    features = model.body.embedding(split.inputs)
    x, y = model.body.embedding.token.weight[split.inputs[:, [0, 2]]].unbind(1)
    assert torch.equal(features, torch.cat([x, y], dim=1)) and features.shape == (4, 16)
    assert list(stages(model.body)) == ["layer1", "layer2"]
    assert model(split.inputs).shape == (4, 23)


def test_standardized_pictures_have_mean_0_and_variance_1():
    train, _, _ = assemble.samples(RECIPE, seed=0)
    recipe = dataclasses.replace(RECIPE, model="cnn", width=32, pixels="standardized")
    pixels = assemble.network(recipe, train, seed=0).body.pixels(train.inputs)
    assert float(pixels.mean()) == pytest.approx(0, abs=1e-4)
    assert float(pixels.std()) == pytest.approx(1, abs=1e-4)


def test_cifar_is_standardized_with_the_papers_constants():
    recipe = EXPERIMENTS["samples"].paper
    pixels = assemble.network(recipe, example(recipe, 2), seed=0).body.pixels
    gray = torch.full((1, 3, 1, 1), 128, dtype=torch.uint8)
    expected = (128 / 255 - torch.tensor([0.4914, 0.4822, 0.4465])) / torch.tensor(
        [0.2023, 0.1994, 0.2010]
    )
    torch.testing.assert_close(pixels(gray).flatten(), expected, rtol=1e-4, atol=1e-4)


def test_a_recipe_from_a_record():
    content = dataclasses.asdict(RECIPE)
    assert assemble.from_json(content) == RECIPE
    del content["scalar"]  # an older record does not know of it
    assert assemble.from_json(content) == RECIPE
    with pytest.raises(ValueError, match="no recipe with color"):
        assemble.from_json(content | {"color": "red"})
