import pytest
import torch
import torchvision
from torch import nn

from richlib.lab.models import INITIALIZATIONS, MLP, Pixels, cnn, resnet18, vgg16
from richlib.lab.transformer import transformer


def count(model):
    return sum(p.numel() for p in model.parameters())


def sizes(network, inputs):
    """Size of the output of every stage, for one sample."""
    stages = dict(network.body.named_children())
    found = {}
    for name, stage in stages.items():
        inputs = stage(inputs)
        found[name] = inputs[0].numel()
    return found


PICTURE = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)


def test_resnet18_is_that_of_figure_22a():
    network = resnet18(3, 10, width=64, pixels=Pixels()).eval()
    layers = {"layer1": 65_536, "layer2": 32_768, "layer3": 16_384, "layer4": 512}
    assert sizes(network, PICTURE).items() >= layers.items()
    # Nakkiran's ResNet18 of width 64, summed layer by layer.
    assert count(network) == 11_171_146
    assert count(resnet18(3, 100, width=16, pixels=Pixels())) < count(network) / 15


@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg16_is_that_of_figure_22b_and_torchvisions(batch_norm):
    with torch.device("meta"):
        reference = torchvision.models.vgg16_bn if batch_norm else torchvision.models.vgg16
        expected = [tuple(p.shape) for p in reference(num_classes=100).parameters()]
        network = vgg16(3, 100, width=64, pixels=Pixels(), batch_norm=batch_norm)
        assert [tuple(p.shape) for p in network.parameters()] == expected
        found = sizes(network.eval(), PICTURE.to("meta"))
    blocks = dict(zip(range(1, 6), (16_384, 8_192, 4_096, 2_048, 512), strict=True))
    assert found.items() >= {f"block{i}": size for i, size in blocks.items()}.items()
    assert found["features"] == 4_096


def test_vgg16_starts_as_torchvisions():
    """Standard deviations of the layers' weights; biases are zero."""
    network = vgg16(3, 10, width=8, pixels=Pixels(), batch_norm=False)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * 9
            expected = (2 / fan_out) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.2)
            assert not module.bias.any()


def test_the_cnn_of_figure_16_has_1024_features():
    network = cnn(1, 10, width=1024, pixels=Pixels(), side=28)
    assert sizes(network, torch.zeros(2, 1, 28, 28, dtype=torch.uint8))["features"] == 1024
    assert network(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 10)


def test_the_transformer_looks_at_nothing_but_the_past():
    """A token changes what stands at its own and later positions, never what stands before."""
    network = transformer(99, 4, 97, width=16)
    tokens = torch.tensor([[1, 98, 5, 97]])
    other = torch.tensor([[1, 98, 6, 97]])
    stream = [network.body[:3](t).detach() for t in (tokens, other)]  # (1, 4, 16)
    assert torch.equal(stream[0][:, :2], stream[1][:, :2])
    assert not torch.allclose(stream[0][:, 3], stream[1][:, 3])
    assert network(tokens).shape == (1, 97)


def test_the_transformer_has_the_parameters_of_its_source():
    """2 blocks of attention, 128 → 512 → 128 and two norms; embeddings; final norm and head."""
    d = 128
    block = (4 * d * d + 4 * d) + (d * 4 * d + 4 * d + 4 * d * d + d) + 2 * 2 * d
    assert count(transformer(99, 4, 97, width=d)) == 2 * block + (99 + 4) * d + 2 * d + 97 * d


def test_pixels_are_those_of_torchvision():
    from torchvision.transforms import v2

    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    pictures = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    scaled = v2.functional.to_dtype(pictures, torch.float32, scale=True)
    expected = v2.functional.normalize(scaled, mean, std)
    torch.testing.assert_close(Pixels(mean, std)(pictures), expected, rtol=1e-5, atol=1e-5)


def test_the_paper_mlp_has_the_norm_of_table_1():
    """Width 1,024 with variance 1/fan_in: E‖θ‖² = 3 × 1,024 + 10 = 3,082 (the paper: 3.1e3)."""
    model = MLP(784, 10, width=1024, hidden_layers=3, generator=torch.Generator().manual_seed(0))
    norm = sum(float(p.detach().square().sum()) for p in model.parameters())
    assert norm == pytest.approx(3082, rel=0.01)
    assert [[type(m).__name__ for m in layer] for layer in model.body] == [["Linear", "ReLU"]] * 3
    assert model.body(torch.zeros(2, 784)).shape == (2, 1024)


def test_batch_normalization_adds_two_numbers_a_unit_and_changes_no_weight():
    def mlp(batch_norm):
        generator = torch.Generator().manual_seed(0)
        options = dict(width=16, hidden_layers=3, batch_norm=batch_norm, generator=generator)
        return MLP(4, 2, **options)

    without, with_ = mlp(False), mlp(True)
    kinds = [[type(m).__name__ for m in layer] for layer in with_.body]
    assert kinds == [["Linear", "BatchNorm1d", "ReLU"]] * 3
    assert count(with_) == count(without) + 3 * 2 * 16
    assert torch.equal(with_.head.weight, without.head.weight)


@pytest.mark.parametrize(
    "name, variance", [("lecun-normal", 1.0), ("he-normal", 2.0), ("torch-default", 1 / 3)]
)
def test_weight_variance_times_fan_in(name, variance):
    layer = nn.Linear(400, 500)
    INITIALIZATIONS[name](layer, torch.Generator().manual_seed(0))
    assert float(layer.weight.detach().var()) * 400 == pytest.approx(variance, rel=0.02)


def test_torch_default_is_what_torch_does():
    """Same bounds for weights and biases as nn.Linear's own initialization."""
    ours, theirs = nn.Linear(400, 500), nn.Linear(400, 500)
    INITIALIZATIONS["torch-default"](ours, torch.Generator().manual_seed(0))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert float(a.detach().abs().max()) <= 400**-0.5
        assert float(b.detach().abs().max()) <= 400**-0.5
        assert float(a.detach().std()) == pytest.approx(float(b.detach().std()), rel=0.1)


def test_the_seed_is_the_generator_alone():
    def weights(seed):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(seed)
        model = MLP(4, 2, width=8, hidden_layers=1, generator=generator)
        return model.head.weight.detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_unknown_initialization():
    with pytest.raises(ValueError, match="lecun-normal, he-normal, torch-default, got 'xavier'"):
        MLP(4, 2, width=8, hidden_layers=1, initialization="xavier")
