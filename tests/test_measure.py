"""Features and outputs of real modules, and a model that is left as it was."""

import weakref
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import richlib
from richlib import Moments, measure
from richlib.activations import _through, features_and_outputs, find_head
from richlib.measure import _with_float64


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3)
    )


def batches(n=100, size=30, d=8):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(1))
    return [(part, torch.zeros(len(part))) for part in x.split(size)]


def test_measure_equals_the_moments_of_the_activations(model):
    features, outputs = features_and_outputs(model, batches())
    assert features.shape == (100, 32) and outputs.shape == (100, 3)
    model.eval()
    torch.testing.assert_close(features, model[:4](torch.cat([x for x, _ in batches()])))
    m = measure(model, batches())
    assert m.dlr == pytest.approx(Moments.of(features, outputs).dlr(), abs=1e-7)
    assert m.richness.n == 100
    eigenvalues = richlib.Eigenfunctions.fit(features).eigenvalues
    torch.testing.assert_close(m.eigenvalues, eigenvalues, rtol=1e-5, atol=1e-7)
    assert m.effective_dimension == pytest.approx(richlib.effective_dimension(m.eigenvalues))


def test_the_model_is_left_as_it_was(model):
    model[3].eval()
    before = [module.training for module in model.modules()]
    statistics = model[1].running_mean.clone()
    measure(model, batches())
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model[1].running_mean, statistics)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_model_is_left_as_it_was_after_an_error(model):
    with pytest.raises(RuntimeError):
        measure(model, [torch.randn(5, 9)])
    assert model.training and not any(m._forward_hooks for m in model.modules())


class Adapted(nn.Linear):
    """A low-rank update that is in the weight in eval mode and beside it in training (LoRA)."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.update = nn.Parameter(torch.ones_like(self.weight))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            self.weight.data += (-1 if mode else 1) * self.update
            self.merged = not mode

    def forward(self, x):
        return super().forward(x) + (0 if self.merged else x @ self.update.T)


def test_what_eval_mode_did_to_a_module_is_undone():
    model = nn.Sequential(Adapted(8, 16), nn.ReLU(), nn.BatchNorm1d(16), nn.Linear(16, 3))
    model.train()
    model[2].eval()
    measure(model, batches())
    assert not model[0].merged
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    model(torch.randn(5, 8)).sum().backward()
    assert model[0].update.grad.any()
    model[0].train(False)
    measure(model, batches())
    assert model[0].merged and not model[0].training


def test_max_samples_stops_early(model):
    def endless():
        while True:
            yield torch.randn(30, 8)

    assert measure(model, endless(), max_samples=70).richness.n == 70


@pytest.mark.parametrize("few", [1, 0, -5])
def test_max_samples_leaves_enough_to_compare(model, few):
    with pytest.raises(ValueError, match=f"max_samples must be at least 2.*got {few}"):
        measure(model, batches(), max_samples=few)


def test_an_empty_batch_is_an_error_that_says_so(model):
    for empty in (torch.zeros(0, 8), (torch.zeros(0, 8), torch.zeros(0))):
        with pytest.raises(ValueError, match=r"of shape \(0, 8\), without samples"):
            measure(model, [torch.randn(30, 8), empty])


def test_a_model_without_values_is_told_so(model):
    with pytest.raises(ValueError, match="meta device"):
        measure(model.to("meta"), batches())


def test_sums_are_kept_where_there_is_float64():
    assert _with_float64(torch.device("mps")) == torch.device("cpu")
    assert _with_float64(torch.device("cuda:1")) == torch.device("cuda:1")


def test_tokens_are_samples():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(11, 16), nn.ReLU(), nn.Linear(16, 5))
    m = measure(model, [torch.randint(11, (4, 7))])
    assert m.richness.n == 28


def test_a_model_without_a_linear_head_is_named(model):
    softmax = nn.Sequential(model, nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="does not return the output of a linear layer.*head="):
        measure(softmax, batches())
    assert measure(softmax, batches(), head=model[4]).dlr == measure(model, batches()).dlr


def test_a_network_that_diverged_is_told_so_and_not_that_it_has_no_head(model):
    with torch.no_grad():
        model[4].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="did the training diverge"):
        measure(model, batches())


@pytest.mark.parametrize("of", [torch.as_tensor, np.asarray])
def test_one_batch_in_place_of_a_loader_is_an_error_that_says_what_to_give(model, of):
    with pytest.raises(ValueError, match=r"of shape \(6, 8\).*\[inputs\]"):
        measure(model, of(torch.zeros(6, 8)))


def test_a_dataset_in_place_of_a_loader_is_an_error_that_says_what_to_give(model):
    samples = TensorDataset(torch.zeros(6, 8), torch.zeros(6))
    with pytest.raises(ValueError, match="a TensorDataset.*give DataLoader"):
        measure(model, samples)
    with pytest.raises(ValueError, match=r"of shape \(8,\): put single samples together"):
        measure(nn.Linear(8, 3), list(torch.zeros(6, 8)))


@pytest.mark.parametrize("of", [tuple, list])
def test_a_pair_in_place_of_a_loader_is_an_error_that_says_what_to_give(model, of):
    for labels in (torch.zeros(6, dtype=torch.long), torch.zeros(6)):
        with pytest.raises(ValueError, match=r"\(6, 8\) and \(6,\).*\[\(inputs, labels\)\]"):
            measure(model, of([torch.zeros(6, 8), labels]))
    assert measure(model, of(torch.randn(12, 8).split(6))).richness.n == 12  # two batches


def test_a_head_of_another_model_is_an_error(model):
    with pytest.raises(ValueError, match="ran 0 times"):
        measure(model, batches(), head=nn.Linear(32, 3))


def test_a_head_that_is_no_linear_layer_is_an_error():
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 1))
    pictures = [torch.randn(4, 3, 6, 6)]
    with pytest.raises(ValueError, match="an nn.Linear, got Conv2d.*richlib.dlr"):
        measure(model, pictures, head=model[1])
    with pytest.raises(ValueError, match="an nn.Linear, got Conv2d"):
        richlib.Tracker(model, pictures, head=model[1])()


def test_the_head_need_not_be_the_last_module():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(6, 2), nn.Linear(4, 6)

        def forward(self, x):
            return self.head(self.body(x).relu())

    model = Backwards()
    assert find_head(model, torch.randn(3, 4)) is model.head


def test_nothing_to_measure(model):
    with pytest.raises(ValueError, match="no batch"):
        measure(model, [])
    with pytest.raises(ValueError, match="no batch"):
        features_and_outputs(model, [])


def test_utilization_and_quality_equal_those_from_the_samples(model):
    """From moments alone: on the samples of the fit the eigenfunctions are orthonormal."""
    x = torch.randn(400, 8, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(400) % 4
    loader = list(zip(x.split(150), labels.split(150), strict=True))
    m = measure(model, loader, num_classes=4)
    features, outputs = features_and_outputs(model, loader)
    e = richlib.Eigenfunctions.fit(features).leading(len(m.eigenvalues))
    indicators = nn.functional.one_hot(labels).double()
    np.testing.assert_allclose(m.utilization, e.utilization(features, outputs), atol=1e-4)
    np.testing.assert_allclose(m.quality, e.quality(features, indicators), atol=1e-4)
    assert m.nc1 == pytest.approx(richlib.collapse.nc1(features, labels), rel=1e-4)


small = dict(weights=None, num_classes=7)
ARCHITECTURES = {
    "resnet18": lambda: torchvision.models.resnet18(**small),
    "densenet121": lambda: torchvision.models.densenet121(**small),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(**small),
    "vgg11_bn": lambda: torchvision.models.vgg11_bn(**small, init_weights=False),
    "vision_transformer": lambda: torchvision.models.VisionTransformer(
        image_size=64,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=64,
        num_classes=7,
    ),
}
WIDTHS = dict(zip(ARCHITECTURES, (512, 1024, 1024, 4096, 32), strict=True))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures(name):
    torch.manual_seed(0)
    network = ARCHITECTURES[name]()
    if name == "vision_transformer":  # its head starts at zero, which is no function at all
        nn.init.normal_(network.heads.head.weight)
    m = measure(network, torch.randn(12, 3, 64, 64).split(6))
    assert (m.richness.n, m.richness.p, m.richness.C) == (12, WIDTHS[name], 7)
    assert 0 <= m.dlr <= 1


class LanguageModel(nn.Module):
    """A two-layer transformer that returns what such models return: logits in an object."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.lm_head = nn.Linear(16, 11, bias=False)

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.lm_head(self.encoder(self.embed(input_ids))))


def test_a_language_model_fed_with_dicts():
    torch.manual_seed(0)
    m = measure(LanguageModel(), [{"input_ids": torch.randint(11, (4, 9))}] * 2)
    assert (m.richness.n, m.richness.p, m.richness.C) == (72, 16, 11)


class Returning(nn.Module):
    """A network whose outputs come wrapped up in something."""

    def __init__(self, network, wrap):
        super().__init__()
        self.network, self.wrap = network, wrap

    def forward(self, x):
        return self.wrap(self.network(x))


WRAPPED = {
    "named tuple": lambda y: namedtuple("Output", "loss logits")(y.sum(), y),
    "dict": lambda y: {"loss": y.sum(), "logits": y},
    "tuple": lambda y: (y, y.sum()),
    "object": lambda y: SimpleNamespace(logits=y),
    "widened": lambda y: y.double(),
    "narrowed": lambda y: y.half(),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_outputs_are_found_in_what_the_model_returns(model, name):
    found = measure(Returning(model, WRAPPED[name]), batches())
    assert found.dlr == measure(model, batches()).dlr


def test_a_network_in_bfloat16_that_widens_its_outputs(model):
    model = Returning(model.bfloat16(), Tensor.float)
    assert find_head(model, batches()[0][0].bfloat16()) is model.network[4]


@pytest.mark.parametrize("wrap", [lambda y: {"out": y}, lambda y: y.argmax(1), lambda y: None])
def test_what_holds_no_outputs_has_no_head(model, wrap):
    with pytest.raises(ValueError, match=r"ran 2 of them.*richlib.dlr\(features, outputs\)"):
        measure(Returning(model, wrap), batches())


def test_two_layers_that_give_the_same_are_not_chosen_from():
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.auxiliary = nn.Linear(8, 3), nn.Linear(8, 3)
            for parameter in self.parameters():
                nn.init.zeros_(parameter)

        def forward(self, x):
            return self.head(x), self.auxiliary(x)

    model = TwoHeads()
    with pytest.raises(ValueError, match="head, auxiliary all give.*head=model"):
        measure(model, batches())
    nn.init.normal_(model.head.weight)
    assert find_head(model, batches()[0][0]) is model.head


def test_wrappers_are_looked_through(model, tmp_path):
    expected = measure(model, batches()).dlr
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel, torch.compile)
        for wrap in wrappers:
            assert measure(wrap(model), batches()).dlr == expected
        assert measure(torch.compile(nn.DataParallel(model)), batches()).dlr == expected
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("how", ["in place", "as a part", "as a wrapper"])
def test_compiled_networks_that_have_run_before(model, how):
    expected = measure(model, batches()).dlr
    if how == "in place":
        model.compile(backend="eager")
    elif how == "as a part":
        model = nn.Sequential(torch.compile(model, backend="eager"))
    else:
        model = torch.compile(model, backend="eager")
    with torch.no_grad():
        model.eval()(batches()[0][0])
    assert measure(model, batches()).dlr == expected


def test_the_loader_runs_in_the_mode_and_with_the_gradients_it_is_used_to(model):
    def adversarial():
        for x, _ in batches():
            assert model.training
            x.requires_grad_()
            (gradient,) = torch.autograd.grad(model(x).square().sum(), x)
            yield (x + 0.1 * gradient.sign()).detach()

    assert measure(model, adversarial()).richness.n == 100


class ClassToken(nn.Module):
    """The head reads one token of a buffer that the next batch overwrites, by keyword."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head, self.buffer = nn.Linear(16, 3), torch.empty(10, 50, 16)

    def forward(self, x):
        return self.head(input=self.buffer.copy_(x)[:, 0])


def test_features_are_copies():
    x = torch.randn(30, 50, 16, generator=torch.Generator().manual_seed(1))
    features, outputs = features_and_outputs(ClassToken(), x.split(10))
    assert torch.equal(features, x[:, 0])
    assert measure(ClassToken(), x.split(10)).dlr == pytest.approx(
        Moments.of(features, outputs).dlr(), abs=1e-6
    )


def test_a_small_view_does_not_hold_what_it_is_of():
    model = ClassToken()
    features, _ = _through(model.head, model, torch.randn(10, 50, 16))
    assert features.untyped_storage().nbytes() == 4 * features.numel()


def test_a_head_whose_output_is_overwritten_is_not_what_the_model_returns(model):
    rectified = nn.Sequential(model, nn.ReLU(inplace=True))
    with pytest.raises(ValueError, match="does not return the output of a linear layer"):
        measure(rectified, batches())
    assert measure(rectified, batches(), head=model[4]).dlr == measure(model, batches()).dlr


def test_scalar_regression_may_drop_its_last_dimension():
    class Regression(nn.Sequential):
        def forward(self, x):
            return super().forward(x).squeeze(-1)

    torch.manual_seed(0)
    model = Regression(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    assert measure(model, [torch.randn(40, 4)]).richness.C == 1


def test_num_classes_needs_labels(model):
    with pytest.raises(ValueError, match="let the loader yield"):
        measure(model, [torch.randn(30, 8)], num_classes=3)
    with pytest.raises(ValueError, match="5 labels for 30 samples"):
        measure(model, [(torch.randn(30, 8), torch.zeros(5).long())], num_classes=3)
    with pytest.raises(ValueError, match=r"in shape \(30, 3\).*argmax\(dim=-1\)"):
        measure(model, [(torch.randn(30, 8), torch.zeros(30, 3))], num_classes=3)
    with pytest.raises(ValueError, match="need labels"):
        assert measure(model, batches()).nc1


def test_memory_does_not_grow_with_the_samples(model):
    """Two hundred batches of a generator, none of which is kept."""
    seen = []

    def loader():
        for _ in range(200):
            batch = torch.randn(10, 8)
            seen.append(weakref.ref(batch))
            assert sum(reference() is not None for reference in seen) < 5
            yield batch

    assert measure(model, loader()).richness.n == 2000
