"""What the chapter "Measure your own network" claims, with small networks of its own."""

import copy
import io
import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models

import richlib
from richlib.activations import features_and_outputs, head_of
from richlib.lab import data

P = 64


def participation_ratio(moments):
    S = moments.covariance[: moments.p, : moments.p]
    return float(S.trace() ** 2 / S.square().sum())


def unexplained(features, outputs):
    Φ = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    F = outputs.double()
    rest = F - Φ @ torch.linalg.lstsq(Φ, F, driver="gelsd").solution
    return float(rest.square().sum() / (F - F.mean(dim=0)).square().sum())


def as_it_stands(network, batches):
    """Features and outputs in whatever mode the network is in."""
    seen = []
    hook = network[-1].register_forward_hook(lambda _, args, out: seen.append((args[0], out)))
    with torch.no_grad():
        for batch in batches:
            network(batch)
    hook.remove()
    return [torch.cat(part) for part in zip(*seen, strict=True)]


@pytest.fixture(scope="module")
def x():
    digits = data.load("digits")
    return torch.from_numpy(digits.x_train).float().div(255).flatten(1)  # (1400, 64)


@pytest.fixture(scope="module")
def trained(x):
    """A narrower copy of the chapter's perceptron, with its untrained self and its tracker."""
    torch.manual_seed(0)
    first = [nn.Linear(64, P), nn.BatchNorm1d(P), nn.ReLU()]
    second = [nn.Linear(P, P), nn.BatchNorm1d(P), nn.ReLU(), nn.Dropout(0.3)]
    net = nn.Sequential(*first, *second, nn.Linear(P, 10))
    untrained = copy.deepcopy(net)
    targets = nn.functional.one_hot(torch.from_numpy(data.load("digits").y_train), 10).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.1)
    track = richlib.Tracker(net, x[:400].split(200), every=50)
    for _ in range(401):
        batch = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x[batch]), targets[batch]).backward()
        optimizer.step()
        track()
    update_bn(x.split(200), untrained)
    features, outputs = features_and_outputs(net, x.split(200))
    return SimpleNamespace(
        net=net.eval(), untrained=untrained, track=track, features=features, outputs=outputs
    )


# Three lines


def test_a_head_that_starts_at_zero_is_reported_as_no_function():
    torch.manual_seed(0)
    sizes = {"hidden_dim": 32, "mlp_dim": 32, "num_layers": 1, "num_heads": 2}
    vit = models.VisionTransformer(16, 8, num_classes=10, **sizes)
    m = richlib.measure(vit, [torch.rand(40, 3, 16, 16)])
    with pytest.warns(richlib.DegenerateWarning, match="outputs are constant"):
        assert m.dlr == 1
    assert m.richness.rank == 0


def test_running_statistics_of_an_untrained_network_hide_its_features(x):
    """As created they normalize nothing: the shufflenet's outputs fade, and lose ranks."""
    torch.manual_seed(0)
    network = models.shufflenet_v2_x0_5(weights=None, num_classes=10)
    pictures = nn.functional.interpolate(x[:300].view(-1, 1, 8, 8), size=32, mode="bilinear")
    batches = pictures.expand(-1, 3, -1, -1).split(100)
    faded = features_and_outputs(network, batches)[1]
    before = richlib.measure(network, batches).richness
    update_bn(batches, network)
    after = richlib.measure(network, batches).richness
    assert faded.std(dim=0).max() < 1e-4 * faded.abs().max()
    assert before.rank < 10 == after.rank
    assert after.dlr > before.dlr + 0.02


# Where the library looks


def test_a_model_of_convolutions_is_refused_and_pixels_can_be_samples():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 8, 8)
    with pytest.raises(ValueError, match="ran 0 of them.*head="):
        richlib.measure(
            models.squeezenet1_1(weights=None, num_classes=10), [images.repeat(1, 1, 8, 8)]
        )
    head = nn.Conv2d(16, 4, 1)
    features = torch.rand(2, 16, 8, 8)
    with torch.no_grad():
        outputs = head(features)
    features, outputs = (z.movedim(1, -1).flatten(end_dim=-2) for z in (features, outputs))
    assert richlib.richness(features, outputs).n == 128
    assert unexplained(features, outputs) < 1e-9  # float32 rounding squared


# Data of one's own


def test_any_form_of_batches_gives_one_value():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(13, 24), nn.ReLU(), nn.Linear(24, 3))
    inputs, labels = torch.randn(178, 13), torch.randint(3, (178,))
    forms = (
        inputs.split(64),
        list(zip(inputs.split(64), labels.split(64), strict=True)),
        DataLoader(TensorDataset(inputs, labels), 50, shuffle=True),
        [{"input": part} for part in inputs.split(64)],
        (part for part in inputs.split(7)),
    )
    expected = richlib.measure(model, [inputs]).dlr
    for form in forms:  # float32 products in another order: about 1e-7
        assert richlib.measure(model, form).dlr == pytest.approx(expected, abs=1e-6)


class LanguageModel(nn.Module):
    def __init__(self, vocabulary=60, length=16, p=24):
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, p), nn.Embedding(length, p)
        layer = nn.TransformerEncoderLayer(p, 2, 32, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.lm_head = nn.Linear(p, vocabulary)

    def forward(self, input_ids):
        length = input_ids.shape[1]
        z = self.token(input_ids) + self.place.weight[:length]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return SimpleNamespace(logits=self.lm_head(self.blocks(z, mask=mask, is_causal=True)))


@pytest.fixture(scope="module")
def language():
    """Features and outputs of real tokens only, and of all, of sentences of unequal length."""
    torch.manual_seed(0)
    lm, lengths = LanguageModel(), torch.randint(4, 17, (80,))
    tokens = torch.randint(1, 60, (80, 16))
    tokens[torch.arange(16) >= lengths[:, None]] = 0
    features, outputs = features_and_outputs(lm, [{"input_ids": tokens}])
    real = tokens.flatten() > 0
    return SimpleNamespace(
        lm=lm, tokens=tokens, lengths=lengths, features=features[real], outputs=outputs[real]
    )


def test_filled_positions_count_unless_left_out(language):
    alone = richlib.measure(
        language.lm,
        [
            {"input_ids": t[None, :k]}
            for t, k in zip(language.tokens, language.lengths, strict=True)
        ],
    )
    selected = richlib.richness(language.features, language.outputs)
    filled = richlib.measure(language.lm, [{"input_ids": language.tokens}])
    assert selected.n == alone.richness.n < filled.richness.n
    assert selected.dlr == pytest.approx(alone.dlr, abs=1e-5)
    assert abs(filled.dlr - selected.dlr) > 0.01


def test_with_more_outputs_than_features_only_their_evenness_is_left(language):
    r = richlib.richness(language.features, language.outputs)
    assert r.C > r.p
    ratio = participation_ratio(richlib.Moments.of(language.features, language.outputs))
    assert r.dlr == pytest.approx(1 - math.sqrt(ratio / (r.rank - 1)), abs=1e-6)


def test_a_large_vocabulary_fits_into_p_plus_one_columns(language):
    head = head_of(language.lm, [{"input_ids": language.tokens}])
    readout = torch.cat([head.weight, head.bias[:, None]], dim=1).detach()
    basis, _ = torch.linalg.qr(readout)
    narrow = richlib.richness(language.features, language.outputs @ basis)
    full = richlib.richness(language.features, language.outputs)
    assert narrow.C == 25 and narrow.rank == full.rank
    assert narrow.dlr == pytest.approx(full.dlr, abs=1e-6)


# A training loop


def test_dlr_keeps_falling_in_a_plain_loop(trained):
    steps, dlr = trained.track.history["step"], trained.track.history["dlr"]
    assert steps == list(range(0, 401, 50))
    assert dlr[-1] < dlr[len(dlr) // 2] < dlr[0]
    assert 0 < trained.track.share < 1


# Believing the number


def test_few_samples_pull_to_the_middle(trained, x):
    generator = torch.Generator().manual_seed(0)
    pairs = (
        features_and_outputs(trained.untrained, x.split(200)),
        (trained.features, trained.outputs),
    )
    few = []
    for features, outputs in pairs:
        rows = [torch.randperm(len(x), generator=generator)[:25] for _ in range(12)]
        few.append(sum(richlib.dlr(features[i], outputs[i]) for i in rows) / 12)
    lazy, rich = (richlib.dlr(*pair) for pair in pairs)
    assert few[0] < lazy - 0.02 and few[1] > rich + 0.02


def test_zeros_and_copies_leave_the_span_and_faint_outputs_do_not(trained):
    Φ, F = trained.features, trained.outputs
    base, one = richlib.dlr(Φ, F), torch.ones(len(F), 1)
    for extra in (0 * one, F[:, :1]):
        r = richlib.richness(Φ, torch.cat([F, extra], dim=1))
        assert (r.C, r.rank) == (11, 10) and r.dlr == pytest.approx(base, abs=1e-8)
    faint = 1e-4 * Φ @ torch.randn(P, 1, generator=torch.Generator().manual_seed(0))
    widened = torch.cat([F, faint], dim=1)
    r = richlib.richness(Φ, widened)
    assert r.rank == 11 and r.dlr > base + 0.01
    assert richlib.dlr(Φ, widened, rtol=1e-2) == pytest.approx(base, abs=1e-6)
    gram = (richlib.dlr(Φ, outputs, estimator="gram") for outputs in (F, widened))
    assert next(gram) == pytest.approx(next(gram), abs=1e-5)


def test_train_mode_reads_lazier(trained, x):
    base = richlib.dlr(trained.features, trained.outputs)
    for kinds, size in ((nn.Dropout, 200), (nn.BatchNorm1d, 4)):
        network = copy.deepcopy(trained.net).eval()
        for module in network:
            module.train(isinstance(module, kinds))
        torch.manual_seed(0)
        assert richlib.dlr(*as_it_stands(network, x.split(size))) > base + 0.01


def test_half_precision_turns_rounding_into_a_rank(trained, x):
    network = copy.deepcopy(trained.net)
    network[-1] = nn.Linear(P, 11)
    with torch.no_grad():
        for new, old in zip(network[-1].parameters(), trained.net[-1].parameters(), strict=True):
            new.copy_(torch.cat([old, -old.sum(dim=0, keepdim=True)]))
    full = richlib.measure(network, x.split(200))
    half = richlib.measure(network.bfloat16(), x.bfloat16().split(200))
    assert (full.richness.rank, half.richness.rank) == (10, 11)
    assert half.dlr > full.dlr + 0.01
    # bfloat16 has 8 bits: features are off by 0.4%, and D_LR far less
    assert half.moments.dlr(rtol=1e-2) == pytest.approx(full.dlr, abs=1e-3)


def test_outputs_of_other_samples_read_lazy_and_a_fit_finds_out(trained, x):
    n, F = len(x), trained.outputs
    shuffled = F[torch.randperm(n, generator=torch.Generator().manual_seed(0))]
    moments = richlib.Moments.of(trained.features, shuffled)
    chance = math.sqrt(10 * participation_ratio(moments)) / (n - 1)
    # a sum of about ten squares of chance correlations scatters by half of itself
    assert 1 - moments.dlr() == pytest.approx(chance, rel=0.7)
    assert unexplained(trained.features, F) < 1e-9
    assert unexplained(trained.features, shuffled) > 0.5
    assert unexplained(trained.features, F.softmax(dim=1)) > 1e-6


def test_measure_cannot_mix_samples(trained, x):
    shuffling = DataLoader(TensorDataset(x), batch_size=100, shuffle=True)
    expected = richlib.dlr(trained.features, trained.outputs)
    assert richlib.measure(trained.net, shuffling).dlr == pytest.approx(expected, abs=1e-6)


# Many machines


def test_states_of_workers_add_up(trained, x):
    def worker(samples):
        file = io.BytesIO()
        torch.save(richlib.measure(trained.net, samples.split(100)).moments.state(), file)
        file.seek(0)
        return richlib.Moments.from_state(torch.load(file, weights_only=True))

    parts = [worker(part) for part in x.split(350)]
    mean = sum(part.dlr() for part in parts) / 4
    total = parts[0]
    for part in parts[1:]:
        total.merge(part)
    whole = richlib.dlr(trained.features, trained.outputs)
    assert total.n == 1400 and total.dlr() == pytest.approx(whole, abs=1e-6)
    assert mean > whole + 1e-3  # averages of D_LR are not D_LR, and biased upwards where rich


def test_nothing_is_repaired_in_silence(trained):
    Φ, F = trained.features, trained.outputs
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert math.isnan(richlib.dlr(torch.ones(50, 8), F[:50]))
        assert richlib.dlr(Φ, torch.ones(len(Φ), 3)) == 1
    assert [item.category for item in said] == [richlib.DegenerateWarning] * 2
    for pair, text in (
        ((torch.full_like(Φ, math.nan), F), "must be finite"),
        ((Φ, F[:-1]), "one row for each of the same samples"),
        ((Φ[:1], F[:1]), "at least 2 sample"),
    ):
        with pytest.raises(ValueError, match=text):
            richlib.dlr(*pair)
