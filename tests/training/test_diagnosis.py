"""``train --diagnose``: its numbers against the float64 oracle and NumPy, its words, and that it changes nothing."""

import dataclasses
import io
import json
import math

import numpy as np
import pytest
import reference
from command_line import SMALL, succeed
from hypothesis import given
from hypothesis import strategies as st
from teams import every_thread_works

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.text_width import text_width
from charrnn.display.training import diagnosis
from charrnn.display.training.displays import training_display
from charrnn.network.network import Network
from charrnn.records import Diagnosed
from charrnn.training.diagnosis import diagnose, gate_shares, gradient_norms, half_length, update_ratios

ASCII = str.maketrans("▁▂▃▄▅▆▇█─✓–", "_.:-=+*#-*-")
SIZES = ModelConfig(vocabulary=11, hidden=19, layers=2)


def network(config=SIZES, threads=1):
    made = Network(config, seed=5, threads=threads)
    # Larger recurrent weights than at the start, so that the gradient is more than rounding at every step.
    for layer in range(config.layers):
        made.parameters[f"w_hh_l{layer}"][:] *= 2
    made.parameters_changed()
    return made


# The gradient


def oracle_dz(parameters, x, y, state):
    """The gradient of one batch row's last loss with respect to each layer's pre-activations: (L, T, 4H).

    A window that begins at step t gives the sum of dz over steps t and after as the bias's gradient; neighbours'
    difference is dz at t.
    """
    _, _, (trace, _) = reference.forward(parameters, x, state)
    sums = []
    for t in range(len(x)):
        at_t = (np.stack([layer[2][t] for layer in trace]), np.stack([layer[3][t] for layer in trace]))
        last = np.full_like(y[t:], -1)
        last[-1] = y[-1]
        gradient = reference.loss_and_gradient(parameters, x[t:], last, at_t)[1]
        sums.append([gradient[f"b_l{layer}"] for layer in range(len(trace))])
    sums = np.array([*sums, np.zeros_like(sums[0])])
    return (sums[:-1] - sums[1:]).swapaxes(0, 1)


@pytest.mark.parametrize("config", [SIZES, ModelConfig(7, 32, 1, 5)], ids=["two layers", "embedding"])
def test_gradient_norms_match_the_oracle(rng, config):
    made = network(config, threads=2)
    x, y = rng.integers(config.vocabulary, size=(2, 9, 5)).astype(np.int32)
    y[-1, 3] = -1  # a batch row without a target has no part in the mean
    state = made.initial_state(5)
    state["h"][:], state["c"][:] = rng.normal(0, 0.3, state["h"].shape), rng.normal(0, 0.5, state["c"].shape)
    before = state.copy()
    with every_thread_works() as watch:
        found = gradient_norms(made, x, y, state)
    assert watch.workers("network") == {2}

    parameters = {name: view.astype(float) for name, view in made.parameters.items()}
    batch = [b for b in range(5) if y[-1, b] >= 0]
    h, c = before["h"].astype(float), before["c"].astype(float)
    squares = [
        np.square(oracle_dz(parameters, x[:, [b]], y[:, [b]], (h[:, [b]], c[:, [b]]))).sum(axis=2) for b in batch
    ]
    expected = np.sqrt(np.mean(squares, axis=0))[:, ::-1]
    assert found.shape == (config.layers, 9)
    assert np.abs(found / expected - 1).max() < 1e-5
    assert np.array_equal(state["h"], before["h"]) and np.array_equal(state["c"], before["c"])


def test_half_length_is_that_of_an_exponential():
    k = np.arange(40)
    assert half_length(0.7 * 2.0 ** (-k / 6.5)) == pytest.approx(6.5)
    assert half_length(0.7 * 2.0 ** (k / 3)) == pytest.approx(-3)
    falls = 2.0 ** (-k / 4)
    falls[0] = 50  # the first has the output's gradient in it
    falls[30:] = 0  # and the last are too small for float32
    assert half_length(falls) == pytest.approx(4)
    for nothing in ([1.0], [1.0, 0.5], np.zeros(8), np.ones(8)):
        assert half_length(np.array(nothing)) is None


# Updates and gates


def test_update_ratios_match_numpy(rng):
    made = network()
    before = made.parameters.flat.copy()
    was = {name: view.astype(float) for name, view in made.parameters.items()}
    for _, view in made.parameters.items():
        view += rng.normal(0, 1e-3, view.shape).astype(np.float32)
    ratios = update_ratios(before, made.parameters)
    assert ratios.keys() == was.keys()
    assert ratios.pop("b_out") is None  # it was zero
    for name, ratio in ratios.items():
        change = made.parameters[name].astype(float) - was[name]
        assert ratio == pytest.approx(np.linalg.norm(change) / np.linalg.norm(was[name]), rel=1e-6), name


def test_saturation_counts_what_the_trace_shows(rng):
    made = network()
    made.parameters["b_l0"][:] += rng.normal(0, 2, 4 * 19).astype(np.float32)
    made.parameters_changed()
    ids = rng.integers(11, size=60)
    shares = gate_shares(made, ids)
    signals = made.trace(ids, made.initial_state(1))
    for layer in range(2):
        for gate in "ifo":
            values = signals[gate][:, layer].ravel().tolist()
            low, high = sum(v < 0.1 for v in values) / len(values), sum(v > 0.9 for v in values) / len(values)
            assert shares[layer][gate] == (pytest.approx(low), pytest.approx(high))
        for name, values in (("g", signals["g"]), ("tanh_c", np.tanh(signals["c"]))):
            share = sum(abs(v) > 0.9 for v in values[:, layer].ravel().tolist()) / (60 * 19)
            assert shares[layer][name] == pytest.approx(share)
    assert 0 < shares[0]["f"][1] < 1


@pytest.mark.parametrize(
    ("length", "batch", "steps", "back"), [(2, 1, 64, 0), (3, 4, 64, 0), (40, 3, 64, 18), (900, 8, 64, 63)]
)
def test_any_text_can_be_diagnosed_and_the_network_stays_as_it_is(rng, length, batch, steps, back):
    made = network()
    before = made.parameters.flat.copy()
    text = rng.integers(11, size=length).astype(np.uint8)
    found = [diagnose(made, text, batch, steps, before, step=7) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].steps_back[-1] == back
    assert [len(norms) for norms in found[0].gradient_norms] == [len(found[0].steps_back)] * 2
    assert made.parameters.flat.tobytes() == before.tobytes()
    assert all(not ratio for ratio in found[0].update_ratios.values())


# The command


def test_the_command_writes_diagnoses_into_json_and_the_log(tmp_path, text):
    options = [*SMALL, "--out", tmp_path, "--steps", 8, "--eval-every", 4]
    result = succeed("train", text, *options, "--diagnose", "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    found = [record for record in records if record["event"] == "diagnosed"]
    assert [record["step"] for record in found] == [4, 8]
    assert [records[records.index(record) - 1]["event"] in ("evaluated", "saved") for record in found] == [True, True]
    assert found[0]["steps_back"] == [0, 1, 2, 4, 8, 15]
    assert np.shape(found[0]["gradient_norms"]) == (2, 6)
    assert found[0]["update_ratios"].keys() >= {"w_ih_l0", "w_hh_l1", "b_out"}
    assert found[0]["gates"][1].keys() == {"i", "f", "o", "g", "tanh_c"}
    logged = (tmp_path / "fables" / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in logged]
    assert [record for record in logged if record["event"] != "sealed"] == records
    checkpoint = Checkpoint.load(tmp_path / "fables" / "last.safetensors")
    assert "diagnose" not in checkpoint.training.to_dict()
    assert "halves in" in succeed("train", text, *options, "--force", "--diagnose").stderr
    assert "halves in" not in succeed("train", text, *options, "--force").stderr


# The words

HEALTHY = Diagnosed(
    step=1200,
    steps_back=(0, 1, 2, 4, 8, 16, 32, 63),
    gradient_norms=((0.44, 0.43, 0.33, 0.175, 0.058, 0.0096, 0.0015, 4.9e-6), (0.57,) + (0.01,) * 7),
    half_lengths=(3.84, 9.02),
    update_ratios={"w_ih_l0": 4e-4, "w_hh_l0": 2.6e-3, "b_l0": 0.7, "w_out": 1e-3, "b_out": None},
    gates=({"i": (0.01, 0.3), "f": (0.06, 0.05), "o": (0.02, 0.26), "g": 0.21, "tanh_c": 0.05},) * 2,
    titles={"i": "input gate", "f": "forget gate", "o": "output gate", "g": "candidate g", "tanh_c": "tanh(c)"},
)


def changed(**fields):
    return dataclasses.replace(HEALTHY, **fields)


def test_bars_are_logarithmic():
    assert diagnosis.bars([1.0, 10**-0.5, 0.1, 1e-2, 1e-3, 10**-3.5, 1e-9, 0.0]) == "█▇▆▄▂▁▁ "
    assert diagnosis.bars([0.1, 1.0]) == "▆█"
    assert diagnosis.bars([0.0, None]) == " ?"


def test_a_healthy_network_is_told_its_numbers():
    assert diagnosis.problems(HEALTHY) == []
    assert diagnosis.summary(HEALTHY) == (
        "All is well: on its way back the gradient halves, that of layer 0 every 3.8 steps and that of layer 1 every "
        "9.0 steps; the largest update is 0.26 % of its weights (w_hh_l0)."
    )
    shown = [line.plain for line in diagnosis.diagnosis_lines(HEALTHY, 99)]
    assert "gradient 0 to 63 back" in shown[0] and "|tanh c|>.9" in shown[0]
    assert shown[2].split() == [
        *("0", "███▇▆▅▃▁", "0.44", "to", "4.9e-06", "3.8", "steps"),
        *("1|", "30", "%", "6|", "5", "%", "2|", "26", "%", "21", "%", "5", "%"),
    ]
    assert "w_hh_l0 2.6e-03" in shown[4] and "b_out –" in shown[4]
    assert shown[5].startswith(" ✓ All is well")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"half_lengths": (1.2, 9.0)}, "gradient of layer 0 vanishes: it halves every 1.2 steps"),
        ({"half_lengths": (1.2, 9.0)}, "In a new run try a lower --lr or a higher --forget-bias."),
        ({"half_lengths": (1.2, 9.0), "titles": {"i": "input gate"}}, "In a new run try a lower --lr."),
        ({"gradient_norms": (HEALTHY.gradient_norms[0], (0.1,) * 7 + (1.1,))}, "gradient of layer 1 explodes"),
        ({"gradient_norms": ((0.1,) * 7 + (None,), (0.1,) * 8)}, "gradient of layer 0 explodes"),
        ({"gradient_norms": ((0.0,) * 8, (0.1,) * 8), "half_lengths": (None, 9.0)}, "No gradient reaches layer 0"),
        ({"update_ratios": {"w_out": 0.061, "b_out": 3.0}}, "Updates are large (w_out changes by 6.1 % in one)"),
        ({"update_ratios": {"w_out": 9e-6, "b_out": 3.0}}, "Updates are small"),
        (
            {"gates": ({**HEALTHY.gates[0], "f": (0.93, 0.0)}, HEALTHY.gates[1])},
            "The forget gates of layer 0 are stuck: 93 % closed",
        ),
        ({"gates": (HEALTHY.gates[0], {**HEALTHY.gates[1], "o": (0.0, 0.97)})}, "layer 1 are stuck: 97 % open"),
    ],
)  # fmt: skip
def test_every_trouble_has_its_sentence(fields, words):
    (sentence,) = diagnosis.problems(changed(**fields))
    assert words in sentence
    shown = "\n".join(line.plain for line in diagnosis.diagnosis_lines(changed(**fields), 200))
    assert f"! {sentence}" in shown
    assert "All is well" not in shown


def test_thresholds_are_on_the_healthy_side():
    assert diagnosis.problems(changed(half_lengths=(2.0, None))) == []
    assert diagnosis.problems(changed(half_lengths=(-4.0, -5.0), gradient_norms=((0.1,) * 7 + (1.0,),) * 2)) == []
    assert diagnosis.problems(changed(update_ratios={"w_out": 0.05})) == []
    assert diagnosis.problems(changed(update_ratios={"w_out": 1e-5})) == []
    assert "does not fade" in diagnosis.summary(changed(half_lengths=(-4.0, None)))
    assert "grows" in diagnosis.diagnosis_lines(changed(half_lengths=(-4.0, None)), 99)[2].plain


@given(st.integers(40, 200))
def test_the_lines_fit_every_width(width):
    for record in (HEALTHY, changed(half_lengths=(1.0, 1.0))):
        shown = [line.plain for line in diagnosis.diagnosis_lines(record, width)]
        assert all(text_width(line) <= width for line in shown)
        titles = [line for line in shown if "gradient 0 to 63 back" in line]
        if set(shown[0].strip()) == {"─"}:  # there is no room for a table: each layer is a block of its own
            assert width < 78
            assert len(titles) == len(record.half_lengths)
        else:
            assert titles == [shown[0]]


def test_no_number_that_json_has_not(rng):
    made = network()
    made.parameters["w_hh_l1"][:] *= 1e25
    made.parameters_changed()
    with np.errstate(over="ignore", invalid="ignore"):
        record = diagnose(made, rng.integers(11, size=99).astype(np.uint8), 2, 20, made.parameters.flat * 0, 1)
    assert json.loads(json.dumps(record.to_dict(), allow_nan=False))["event"] == "diagnosed"
    assert all(ratio is None for ratio in record.update_ratios.values())
    assert all(math.isfinite(n) for norms in record.gradient_norms for n in norms if n is not None)


def test_off_a_terminal_it_is_plain_lines():
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "ascii")
    with training_display(Terminal(stdout=out, stderr=err)) as display:
        display.handle(HEALTHY)
    err.flush()
    shown = err.buffer.getvalue().decode("ascii").splitlines()
    assert shown == [line.plain.translate(ASCII) for line in diagnosis.diagnosis_lines(HEALTHY, 100)]
    assert "###*+=:_" in shown[2]
    assert out.buffer.getvalue() == b""
