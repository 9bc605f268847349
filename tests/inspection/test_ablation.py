"""What a model loses when cells are clamped, checked on a network whose cells are known."""

import dataclasses

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.loss import evaluate
from charrnn.inspection.ablation import LossSums, ablate, blocks_to_join, changes, sum_losses
from charrnn.inspection.clamping import clamp
from charrnn.network.network import Network

OPEN, CLOSE, WORD = 0, 1, 2  # the characters of the planted language


@pytest.fixture
def planted(rng):
    """A network of 8 units, a text, and the mask of its brackets; only unit 3 knows whether a bracket is open.

    The opening bracket sets unit 3 to 1, the closing bracket sets it back to 0. The output layer expects the closing
    bracket only while the unit is 1.
    """
    network = Network(ModelConfig(4, 8, 1), seed=None, threads=1)
    w, b, out = network.parameters["w_ih_l0"], network.parameters["b_l0"], network.parameters["w_out"]
    i, f, g, o = (gate * 8 + 3 for gate in range(4))
    b[[i, f, o]] = -20, 20, 20
    w[OPEN, [i, g]] = 40, 20
    w[CLOSE, [i, f, g]] = 40, -40, 0
    network.parameters["b_out"][:] = [0, -6, 2, 2]
    out[3, CLOSE] = 10
    out[3, OPEN] = -8
    inside, text = False, []
    for dice in rng.random(30_000):
        if dice < 0.12:
            inside = not inside
            text.append(OPEN if inside else CLOSE)
        else:
            text.append(WORD + int(dice > 0.5))
    ids = np.array(text, np.int32)
    mask = np.cumsum(ids == OPEN) > np.cumsum(ids == CLOSE)
    return network, ids, mask


def test_the_sums_of_losses_are_the_evaluation(planted):
    network, ids, mask = planted
    found, cells = sum_losses(network, ids, mask, 500, [(0, 3), (0, 0)])
    assert found.count.sum() == found.symbol_count.sum() == len(ids) - 1
    assert found.mean == pytest.approx(evaluate(network, ids).loss, rel=1e-6)
    assert found.symbol_loss.sum() == pytest.approx(found.loss.sum())
    assert found.count[:, 1].sum() == mask[:-1].sum()
    np.testing.assert_array_equal(found.symbol_count.sum(axis=1), np.bincount(ids[1:], minlength=4))
    np.testing.assert_allclose(cells, [[0, 1], [0, 0]], atol=1e-3)


def test_the_planted_cell_costs_inside_what_it_knows(planted):
    network, ids, mask = planted
    found = ablate(network, ids, [(0, 3)], 0.0, mask, controls=5)
    assert found.masked
    assert found.inside.low > 0.3
    assert abs(found.outside.value) < 1e-3
    assert found.contrast.low > 0.3
    assert found.contrast.low < found.contrast.value < found.contrast.high
    assert found.contrast.value == pytest.approx(found.inside.value - found.outside.value)
    assert found.overall.value == pytest.approx(
        evaluate(clamp(network, {(0, 3): 0.0}), ids).loss - evaluate(network, ids).loss, abs=1e-6
    )
    dearest = found.symbols[0]
    assert (dearest.id, dearest.inside) == (CLOSE, True)
    assert dearest.after - dearest.before > 3
    assert len(found.controls) == 5
    assert found.rank == 1
    assert all(abs(control.contrast) < 1e-6 for control in found.controls)
    assert found.mean_inside[0, 3] == pytest.approx(1, abs=1e-3)
    assert found.mean_outside[0, 3] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("threads", [2, 3])
def test_an_ablation_is_the_same_for_any_number_of_threads(planted, threads):
    network, ids, mask = planted
    alone = ablate(network, ids[:9000], [(0, 3)], "mean", mask[:9000], controls=3)
    team = Network(network.config, seed=None, threads=threads)
    team.set_parameters(dict(network.parameters.items()))
    with every_thread_works(threads) as watch:
        together = ablate(team, ids[:9000], [(0, 3)], "mean", mask[:9000], controls=3)
    assert watch.workers("network") == {threads}
    np.testing.assert_equal(dataclasses.asdict(together), dataclasses.asdict(alone))


def test_clamped_at_its_mean_or_without_a_mask(planted):
    network, ids, mask = planted
    found = ablate(network, ids, [(0, 3)], "mean", mask, controls=0)
    assert found.values[0, 3] == pytest.approx(mask[:-1].mean(), abs=1e-3)
    assert found.rank == 1
    plain = ablate(network, ids[:5000], [(0, 3), (0, 1)], 0.0, controls=3)
    assert not plain.masked
    assert np.isnan(plain.inside.value)
    assert plain.outside == plain.overall
    assert [len(control.cells) for control in plain.controls] == [2, 2, 2]


def test_a_long_text_is_read_in_stretches(planted):
    network, ids, mask = planted
    whole = ablate(network, ids, [(0, 3)], 0.0, mask, controls=2)
    calls = []
    some = ablate(
        network, ids, [(0, 3)], 0.0, mask, controls=2, most=20_000, most_compared=3000,
        progress=lambda *call: calls.append(call),
    )  # fmt: skip
    assert (whole.characters, whole.text_characters) == (29_999, 29_999)
    assert (whole.compared.contrast, whole.compared_characters) == (whole.contrast.value, 29_999)
    assert some.text_characters == 29_999
    assert 19_900 < some.characters <= 20_000
    assert 2900 < some.compared_characters <= 3000
    assert some.contrast.low < whole.contrast.value < some.contrast.high
    assert some.compared.contrast == pytest.approx(whole.contrast.value, rel=0.3)
    assert some.compared.contrast != some.contrast.value
    assert some.rank == 1
    assert all(abs(control.contrast) < 1e-6 for control in some.controls)
    done, total = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert set(total) == {2 * 20_000 + 4 * 3000}
    assert 0.99 * total[0] < done[-1] <= total[0]


def test_where_a_sample_has_nothing_inside_others_are_compared_on_all(planted):
    network, ids, mask = planted
    rare = mask & (np.arange(len(ids)) > len(ids) - 100)
    found = ablate(network, ids, [(0, 3)], 0.0, rare, controls=1, most_compared=3000)
    assert found.compared_characters == found.characters
    assert found.rank == 1


def test_too_few_blocks_give_no_interval(planted):
    network, ids, mask = planted
    found = ablate(network, ids[:900], [(0, 3)], 0.0, mask[:900], controls=0)
    assert np.isfinite(found.inside.value)
    assert np.isnan(found.inside.low)


def test_intervals_hold_what_they_promise(rng):
    """Losses that are equal within 30 characters: the interval of 95 % contains the true value about so often."""
    covered = 0
    for _ in range(100):
        noise = np.repeat(rng.normal(0.1, 1, 1000), 30)
        lost = noise.reshape(60, 500)
        count = np.tile([200.0, 300.0], (60, 1))
        after = LossSums(np.stack([lost[:, :200].sum(1), lost[:, 200:].sum(1)], 1), count, np.zeros(0), np.zeros(0))
        before = LossSums(np.zeros((60, 2)), count, np.zeros(0), np.zeros(0))
        overall, *_, contrast = changes(before, after, rng)
        covered += (overall.low < 0.1 < overall.high) + (contrast.low < 0 < contrast.high)
    assert 175 <= covered <= 199


def test_intervals_know_that_what_is_lost_changes_slowly(rng):
    """Blocks that resemble each other: intervals of single blocks would be far too short."""
    covered = dict.fromkeys(("joined", "single"), 0)
    for trial in range(60):
        noise = np.repeat(rng.normal(0.1, 1, (200, 1)), 12, axis=0)  # each lasts for twelve blocks
        count = np.full((len(noise), 2), 250.0)
        nothing = np.zeros(0)
        before = LossSums(np.zeros_like(count), count, nothing, nothing)
        after = LossSums(noise * count, count, nothing, nothing)
        join = blocks_to_join(before, after)
        assert join >= 12
        for name, blocks in (("joined", join), ("single", 1)):
            if name == "joined" or trial < 15:  # single blocks are many, and drawn slowly
                overall = changes(before, after, rng, blocks)[0]
                covered[name] += overall.low < 0.1 < overall.high
    assert covered["joined"] >= 50
    assert covered["single"] < 10


def test_what_cannot_be_ablated(planted):
    network, ids, mask = planted
    for cells, options in (
        ([], {}),
        ([(0, 8)], {}),
        ([(0, 3), (0, 3)], {}),
        ([(0, 3)], {"mask": mask[:5]}),
        ([(0, 3)], {"value": "max"}),
    ):
        with pytest.raises(ConfigError):
            ablate(network, ids, cells, **options)
    with pytest.raises(ConfigError):
        ablate(network, ids[:1], [(0, 3)])
