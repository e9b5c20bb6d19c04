"""Budgets and positions, against a slow reference written here sample by sample from 4M's description."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare, ks_2samp

from tst.errors import UserError
from tst.model.table import ModalitySpec, input_slices, target_slices
from tst.pretraining.masking import Component, MaskingConfig, Selection, TokenMasker, all_to_all, rgb_to_all


def table(
    side: int = 8, names: tuple[str, ...] = ("rgb", "depth", "normals", "edges", "semantic")
) -> list[ModalitySpec]:
    pixels = ModalitySpec("rgb@128", "pixels", grid=(side, side), target=False)
    return [pixels, *(ModalitySpec(f"tok_{n}@128", "tokens", vocab=16, grid=(side, side)) for n in names)]


def everything(batch: int, specs: list[ModalitySpec]) -> torch.Tensor:
    return torch.ones(batch, len(specs), dtype=torch.bool)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positions(selection: Selection, specs: list[ModalitySpec]) -> list[dict[str, tuple[set[int], set[int]]]]:
    """By sample and modality: input and target positions; checks the indices against the counts."""
    result = []
    for b in range(len(selection.input_index_BI)):
        found: dict[str, tuple[set[int], set[int]]] = {}
        for m, spec in enumerate(specs):
            both = []
            for index, slices, counts in (
                (selection.input_index_BI, input_slices(specs), selection.input_counts_BM),
                (selection.target_index_BT, target_slices(specs), selection.target_counts_BM),
            ):
                part = slices.get(spec.name, slice(0, 0))
                mine = [int(i) - part.start for i in index[b] if part.start <= i < part.stop]
                assert len(set(mine)) == len(mine) == counts[b, m]
                both.append(set(mine))
            found[spec.name] = (both[0], both[1])
        result.append(found)
    return result


# The reference --------------------------------------------------------------------------------


def reference_budget(rng: np.random.Generator, alpha: np.ndarray, total: int, caps: np.ndarray) -> np.ndarray:
    budget = np.floor(rng.dirichlet(alpha) * total).astype(int)
    for _ in range(total - budget.sum()):
        budget[rng.dirichlet(alpha).argmax()] += 1
    assert (budget <= caps).all()  # large caps: 4M would lose tokens here
    return budget


def reference(config: MaskingConfig, alphas: list[tuple[list[float], list[float]]], cap: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    weights = np.array([c.weight for c in config.mixture])
    rows = []
    for _ in range(n):
        pair = rng.choice(len(weights), p=weights / weights.sum())
        wanted, targets = (np.maximum(np.array(a), 1e-9) for a in alphas[pair])
        inputs = reference_budget(rng, wanted, config.num_input, np.full(len(wanted), cap))
        outputs = reference_budget(rng, targets, config.num_target, cap - inputs)
        rows.append(np.concatenate([inputs, outputs]))
    return np.array(rows)


@pytest.mark.parametrize(
    ("mixture", "alphas"),
    [
        ((Component(input_alpha=1.0, target_alpha=1.0),), [([1.0] * 3, [1.0] * 3)]),
        ((Component(input_alpha=10.0, target_alpha=0.5),), [([10.0] * 3, [0.5] * 3)]),
        (
            (
                Component(input_alpha=0.1, target_alpha={"tok_depth": 2.0, "tok_edges": 1.0}, weight=3.0),
                Component(input_alpha={"tok_depth@128": 1000.0}, target_alpha=10.0, weight=1.0),
            ),
            [([0.1] * 3, [2.0, 1.0, 0.0]), ([1000.0, 0.0, 0.0], [10.0] * 3)],
        ),
    ],
    ids=["even", "mixed", "mixture"],
)
def test_budgets_are_distributed_as_4ms(
    mixture: tuple[Component, ...], alphas: list[tuple[list[float], list[float]]]
) -> None:
    specs = table(16, ("depth", "edges", "normals"))[1:]
    config = MaskingConfig(num_input=40, num_target=60, mixture=mixture, share_positions=False)
    selection = TokenMasker(specs, config).sample(everything(20_000, specs), seeded())
    ours = torch.cat([selection.input_counts_BM, selection.target_counts_BM], 1).numpy()
    theirs = reference(config, alphas, 256, 6_000)
    for column in range(6):
        a, b = ours[:, column], theirs[:, column]
        # The two-sample 0.1 % threshold is 1.95 * sqrt(1/20000 + 1/6000) = 0.029
        assert ks_2samp(a, b).statistic < 0.029, column
        assert abs(a.mean() - b.mean()) < 4 * b.std() * (1 / 6_000 + 1 / 20_000) ** 0.5 + 1e-6
        assert abs(a.std() - b.std()) < 0.06 * b.std() + 0.05
    assert np.allclose(
        np.corrcoef(ours.T + 1e-3 * np.random.default_rng(0).normal(size=ours.T.shape)),
        np.corrcoef(theirs.T + 1e-3 * np.random.default_rng(1).normal(size=theirs.T.shape)),
        atol=0.06,
    )


def test_positions_are_uniform() -> None:
    specs = table(4)
    masker = TokenMasker(specs, MaskingConfig(num_input=10, num_target=10))
    selection = masker.sample(everything(20_000, specs), seeded())
    for index in (selection.input_index_BI, selection.target_index_BT):
        counts = torch.bincount(index.flatten() % 16, minlength=16)
        assert chisquare(counts.numpy()).pvalue > 1e-4
    # of one modality: input and target positions together are no more likely near each other or early
    first = selection.input_index_BI[selection.input_counts_BM[:, 0] == 1, 0]
    assert chisquare(torch.bincount(first, minlength=16).numpy()).pvalue > 1e-4


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize(("num_input", "num_target"), [(128, 128), (1, 1), (64, 256), (319, 1), (60, 260)])
def test_totals_are_exact_and_positions_disjoint(share: bool, num_input: int, num_target: int) -> None:
    specs = table()
    config = MaskingConfig(num_input=num_input, num_target=num_target, share_positions=share)
    selection = TokenMasker(specs, config).sample(everything(40, specs), seeded())
    assert selection.input_index_BI.shape == (40, num_input)
    assert selection.target_index_BT.shape == (40, num_target)
    assert (selection.input_counts_BM.sum(1) == num_input).all()
    assert (selection.target_counts_BM.sum(1) == num_target).all()
    assert not selection.target_counts_BM[:, 0].any()  # pixels are no target
    overlap = 0
    for found in positions(selection, specs):
        for inputs, targets in found.values():
            assert not inputs & targets
        pixels, tokens = found["rgb@128"][0], found["tok_rgb@128"]
        overlap += len(pixels & (tokens[0] | tokens[1]))
    if share:
        assert overlap == 0
    elif num_input + num_target > 200:
        assert overlap > 0  # 4M's behaviour


def test_unavailable_modalities_get_nothing() -> None:
    specs = table()
    available = torch.rand(300, 6, generator=seeded(3)) < 0.7
    available[:, 2:4] = True
    masker = TokenMasker(specs, MaskingConfig(num_input=40, num_target=40))
    selection = masker.sample(available, seeded())
    assert not selection.input_counts_BM[~available].any()
    assert not selection.target_counts_BM[~available].any()
    positions(selection, specs)


def test_rgb_only_samples() -> None:
    specs = table()
    available = torch.tensor([[True, True, False, False, False, False]])
    fits = TokenMasker(specs, MaskingConfig(num_input=20, num_target=44)).sample(available.expand(30, -1), seeded())
    assert (fits.input_counts_BM[:, :2].sum(1) == 20).all()
    too_many = TokenMasker(specs, MaskingConfig(num_input=64, num_target=64))
    with pytest.raises(
        UserError, match=r"only rgb@128, tok_rgb@128: room for 64 target tokens.* 0 input.*share_positions"
    ):
        too_many.check(available)
    with pytest.raises(UserError, match="sample 1 of the batch"):
        too_many.sample(torch.cat([everything(1, specs), available]), seeded())
    apart = TokenMasker(specs, MaskingConfig(num_input=64, num_target=64, share_positions=False))
    assert apart.sample(available, seeded()).target_counts_BM.tolist() == [[0, 64, 0, 0, 0, 0]]
    with pytest.raises(UserError, match="only rgb@128: room for 0 target"):
        apart.check(torch.tensor([[True, False, False, False, False, False]]))
    with pytest.raises(UserError, match="only no modality"):
        apart.check(torch.zeros(1, 6, dtype=torch.bool))


def test_what_does_not_fit_goes_to_the_others_in_proportion() -> None:
    specs = table(8, ("depth", "edges", "normals"))[1:]
    component = Component(input_alpha={"tok_depth": 8e4, "tok_edges": 1e4, "tok_normals": 1e4}, target_alpha=1.0)
    config = MaskingConfig(num_input=100, num_target=1, mixture=(component,))
    counts = TokenMasker(specs, config).sample(everything(50, specs), seeded()).input_counts_BM
    assert (counts[:, 0] == 64).all()  # of about 80
    assert (counts[:, 1:] >= 17).all()  # 10 + 8, and small change


def test_rgb_to_all_shows_pixels_first() -> None:
    specs = table()
    for share in (True, False):
        config = MaskingConfig(num_input=60, num_target=60, mixture=rgb_to_all(), share_positions=share)
        counts = TokenMasker(specs, config).sample(everything(100, specs), seeded()).input_counts_BM
        assert (counts[:, 0] == 60).all()
    more = MaskingConfig(num_input=100, num_target=60, mixture=rgb_to_all())
    counts = TokenMasker(specs, more).sample(everything(100, specs), seeded()).input_counts_BM
    assert (counts[:, 0] == 64).all()
    assert (counts.sum(1) == 100).all()


def test_tiny_alphas_put_all_in_one_and_choose_evenly() -> None:
    specs = table()
    config = MaskingConfig(num_input=30, num_target=30, mixture=(Component(input_alpha=0.0, target_alpha=0.0),))
    counts = TokenMasker(specs, config).sample(everything(6_000, specs), seeded()).input_counts_BM
    assert ((counts == 30) | (counts == 0)).all()
    assert chisquare((counts == 30).sum(0).numpy()).pvalue > 1e-4


def test_a_seed_gives_the_same_selection() -> None:
    specs = table()
    masker = TokenMasker(specs, MaskingConfig())
    one, two, other = (masker.sample(everything(16, specs), seeded(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(value, getattr(two, name)) for name, value in vars(one).items() if name[-1].isupper())
    assert not torch.equal(one.input_index_BI, other.input_index_BI)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_feasible_budget_is_met(data: st.DataObject) -> None:
    """Against max-flow by brute force: `check` accepts exactly what can be met, and `sample` meets it."""
    grids = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    share = data.draw(st.booleans())
    flags = data.draw(st.lists(st.sampled_from([(True, True), (True, False), (False, True)]), min_size=4, max_size=4))
    first = grids[0]
    specs = [ModalitySpec("rgb@1", "pixels", grid=(first, 2), target=False)]
    for number, (side, (is_input, is_target)) in enumerate(zip(grids, flags, strict=False)):
        name = "tok_rgb@1" if number == 0 else f"tok_{number}@1"
        specs.append(ModalitySpec(name, "tokens", vocab=3, grid=(side, 2), input=is_input, target=is_target))
    if not any(spec.target for spec in specs):
        return
    available = [data.draw(st.booleans()) for _ in specs]
    num_input, num_target = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    # most inputs that leave room for the targets
    groups: dict[str, list[int]] = {}
    for i, spec in enumerate(specs):
        groups.setdefault(spec.content if share else spec.name, []).append(i)
    free, targets, contested = 0, 0, 0
    for members in groups.values():
        size = specs[members[0]].num_tokens
        takes = any(available[i] and specs[i].input for i in members)
        gives = any(available[i] and specs[i].target for i in members)
        targets += size * gives
        free += size * (takes and not gives)
        contested += size * (takes and gives)
    feasible = targets >= num_target and free + min(contested, targets - num_target) >= num_input
    config = MaskingConfig(
        num_input=num_input,
        num_target=num_target,
        share_positions=share,
        mixture=(*all_to_all(), Component(input_alpha=0.0, target_alpha={"tok_rgb": 1000.0})),
    )
    mask = torch.tensor(available).expand(20, -1)
    if not feasible:
        with pytest.raises(UserError, match="masking"):
            TokenMasker(specs, config).sample(mask, seeded())
        return
    selection = TokenMasker(specs, config).sample(mask, seeded(data.draw(st.integers(0, 99))))
    assert (selection.input_counts_BM.sum(1) == num_input).all()
    assert (selection.target_counts_BM.sum(1) == num_target).all()
    assert not (selection.input_counts_BM + selection.target_counts_BM)[~mask].any()
    for found in positions(selection, specs):
        for members in groups.values():
            used = [position for i in members for part in found[specs[i].name] for position in part]
            assert len(used) == len(set(used))


def test_mistakes_are_named() -> None:
    specs = table()
    with pytest.raises(UserError, match="budgets are 300 inputs and 100 targets"):
        TokenMasker(specs, MaskingConfig(num_input=300, num_target=100))
    with pytest.raises(UserError, match="names tok_dept, which"):
        TokenMasker(specs, MaskingConfig(mixture=(Component(input_alpha={"tok_dept": 1.0}),)))
    with pytest.raises(UserError, match="alpha is -1"):
        TokenMasker(specs, MaskingConfig(mixture=(Component(input_alpha=-1.0),)))
    with pytest.raises(UserError, match="alpha is nan"):
        TokenMasker(specs, MaskingConfig(mixture=(Component(target_alpha=float("nan")),)))
    with pytest.raises(UserError, match="all 0"):
        TokenMasker(specs, MaskingConfig(mixture=(Component(weight=0.0),)))
    vectors = ModalitySpec("t5_caption", "sequence_embedding", channels=3, max_length=3, target=False)
    with pytest.raises(UserError, match="t5_caption is a sequence_embedding"):
        TokenMasker([*specs, vectors], MaskingConfig())
    with pytest.raises(UserError, match="caption has max_length 500"):
        TokenMasker([*specs, ModalitySpec("caption", "sequence", vocab=3, max_length=500)], MaskingConfig())
    with pytest.raises(UserError, match=r"rgb@128 has a grid of \(8, 8\)"):
        TokenMasker([specs[0], ModalitySpec("tok_rgb@128", "tokens", vocab=3, grid=(16, 16))], MaskingConfig())
    with pytest.raises(ValidationError):
        MaskingConfig(num_inputs=3)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        MaskingConfig(mixture=())
