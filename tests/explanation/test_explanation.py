"""The explained step: its equations, gradients and finite differences agree with each other and with the kernels."""

from dataclasses import replace

import numpy as np
import pytest
from elman import ElmanCell
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.config import ModelConfig
from charrnn.display.reports.explanation import step_lines
from charrnn.errors import ConfigError
from charrnn.explanation.cells import EQUATIONS
from charrnn.explanation.explain import HEAD, Explanation
from charrnn.explanation.recurrent_sections import RecurrentSteps
from charrnn.explanation.sections import MOST_ROWS
from charrnn.explanation.transformer_sections import TransformerSteps
from charrnn.network.cells import CELLS
from charrnn.network.network import Network

IDS = [1, 0, 2, 2, 3]
SHAPES = [(1, None), (2, None), (1, 3), (2, 5)]
CASES = [(cell, *shape) for cell in EQUATIONS for shape in SHAPES if cell != "transformer" or shape[1] is None]
SMOOTH_SEED = 2  # see is_smooth


def made(cell, layers=1, embedding=None, hidden=4, seed=1, vocabulary=4, ids=IDS):
    config = ModelConfig(vocabulary, hidden, layers, cell=cell, embedding=embedding)
    if cell == "transformer":  # the last text of IDS is longer than the context
        config = replace(config, heads=2 if hidden % 2 == 0 else 1, context=3)
    network = Network(config, seed=seed, threads=1)
    rng = np.random.default_rng(seed)
    network.parameters.flat[:] += rng.normal(0, 0.1, network.parameters.flat.shape)  # biases that are not zero
    network.parameters_changed()
    return Explanation(config, network.parameters, ids), network


def steps_of(explanation, characters, layer, units):
    kind = TransformerSteps if explanation.config.cell == "transformer" else RecurrentSteps
    return kind(explanation, characters, layer, units)


def is_smooth(explanation):
    """Whether a finite difference is the gradient everywhere.

    It is not where a gate of a capped LSTM is near the kink of min(i, 1 - f), nor where a norm divides by a root that
    is not much larger than the distance of the two points.
    """
    cell, of_layers = explanation.config.cell, [v for values in explanation.values for k, v in values.items() if k >= 0]
    if cell == "transformer":
        squares = [(v[name] ** 2).mean() for v in of_layers for name in ("x", "middle", "h")]
        return min(squares) > 0.2**2
    return cell != "capped-lstm" or min(np.abs(v["i"] + v["f"] - 1).min() for v in of_layers) > 0.01


@pytest.mark.parametrize(("cell", "layers", "embedding"), CASES)
def test_every_gradient_is_its_finite_difference(cell, layers, embedding):
    explanation, _ = made(cell, layers, embedding, seed=SMOOTH_SEED)
    assert is_smooth(explanation)
    for t in range(explanation.steps):
        for layer, gradients in explanation.gradients[t].items():
            for name, gradient in gradients.items():
                for index in np.ndindex(gradient.shape):
                    found = explanation.difference(t, layer, name, index)
                    assert abs(found - gradient[index]) < 1e-9, (t, layer, name, index)
        for layer in range(layers if t else 0):
            for name, gradient in explanation.arriving[t - 1][layer].items():
                for index in np.ndindex(np.shape(gradient)):
                    found = explanation.difference(t, layer, f"{name}′", index)
                    assert abs(found - np.array(gradient)[index]) < 1e-9, (t, layer, name, index)


@pytest.mark.parametrize(("cell", "layers", "embedding"), CASES)
def test_it_is_what_the_kernels_compute(cell, layers, embedding):
    explanation, network = made(cell, layers, embedding)
    x, y = np.array(IDS[:-1], np.int32)[:, None], np.array(IDS[1:], np.int32)[:, None]
    loss = network.loss_and_gradient(x, y, network.initial_state(1))
    steps = explanation.steps
    np.testing.assert_allclose(loss, explanation.losses.sum() / steps, rtol=1e-6)

    def summed(layer, name):
        return sum(explanation.gradients[t][layer][name] for t in range(steps)) / steps

    expected = {"w_out": summed(HEAD, "w_out"), "b_out": summed(HEAD, "b_out")}
    for layer in range(layers):
        equations = explanation.equations
        if cell == "transformer":
            expected[f"w_att_l{layer}"] = summed(layer, "w_att")
            continue
        expected[f"w_hh_l{layer}"] = np.concatenate([summed(layer, f"w_hh_{gate}") for gate in equations.gates], axis=1)
        expected[f"b_l{layer}"] = np.concatenate([summed(layer, f"b_{part}") for part in equations.biases])
    if cell == "transformer":  # what arrives at the rows of the embedding has come through every other gradient
        expected["embedding"] = np.zeros((4, 4))
        for t in range(steps):
            expected["embedding"][IDS[t]] += explanation.gradients[t][0]["x"] / steps
    for name, gradient in expected.items():
        np.testing.assert_allclose(network.gradient[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


@given(seed=st.integers(0, 2**31), cell=st.sampled_from(sorted(EQUATIONS)), hidden=st.integers(1, 5))
def test_the_shown_digits_of_gradients_and_differences_are_equal(seed, cell, hidden):
    explanation, _ = made(cell, hidden=hidden, seed=seed)
    assume(is_smooth(explanation))
    steps = steps_of(explanation, list("ehlo"), 0, range(hidden))
    compared = 0
    for t in range(explanation.steps):
        for section in steps.back(t):
            for line in section.lines:
                if line.differences is not None:
                    compared += len(line.values)
                    shown = [[f"{value + 0.0:.4f}" for value in row] for row in (line.values, line.differences)]
                    # Two numbers that round to other digits lie at the two sides of a boundary, 1e-10 apart.
                    for one, other, exact in zip(*shown, line.values, strict=True):
                        assert one == other or abs(exact * 1e4 % 1 - 0.5) < 1e-5 or abs(exact) < 1e-9
    assert compared > 20


@pytest.mark.parametrize("cell", [cell for cell in EQUATIONS if cell != "transformer"])
def test_numbers_add_up_as_they_are_shown(cell):
    explanation, _ = made(cell)
    steps = steps_of(explanation, list("ehlo"), 0, range(4))
    for t in range(explanation.steps):
        sections = {section.title: section for section in steps.forward(t)}
        h = explanation.before[t][0]["h"]
        for section in sections.values():
            lines = {line.label: line.values for line in section.lines}
            if "= sum" not in lines or "s" in lines:
                continue
            row, b = next(v for k, v in lines.items() if k.startswith("row")), lines["b"]
            products = [v for k, v in lines.items() if k.startswith("h′")]
            np.testing.assert_allclose(row + h @ products + b, lines["= sum"], rtol=1e-12)
        output = {line.label: line.values for line in sections["Logits, probabilities, loss"].lines}
        assert output["p"].sum() == pytest.approx(1)
        assert steps.summary(t).loss == pytest.approx(-np.log(steps.summary(t).probability))


def test_numbers_of_attention_add_up_as_they_are_shown():
    explanation, _ = made("transformer", 2)
    for layer in range(2):
        steps = steps_of(explanation, list("ehlo"), layer, range(4))
        for t in range(explanation.steps):
            sections = list(steps.forward(t))
            lines = {line.label: line.values for section in sections for line in section.lines}
            (attention,) = (section for section in sections if section.title == "Attention")
            seen = [f"{'ehlo'[IDS[place]]} {place - t}" for place in range(max(0, t - 2), t + 1)]
            assert list(attention.columns) == seen  # the context is 3
            for head in ("head 1", "head 2"):
                powers = np.exp(lines[f"score, {head}"])
                np.testing.assert_allclose(lines[f"weight, {head}"], powers / powers.sum(), rtol=1e-12)
            np.testing.assert_allclose(lines["x"] + lines["a W_att"], lines["x′ = x + a W_att"], rtol=1e-12)
            added = lines["(silu(gate) ⊙ up) W_down"]
            np.testing.assert_allclose(lines["x′ = x + a W_att"] + added, lines["h"], rtol=1e-12)
            assert ("z = norm(h)" in lines) == (layer == 1)
            silu = lines["gate = m W_gate"] / (1 + np.exp(-lines["gate = m W_gate"]))
            np.testing.assert_allclose(silu * lines["up = m W_up"], lines["silu(gate) ⊙ up"], rtol=1e-12)


def test_a_wide_network_shows_sums_and_the_likeliest_characters():
    hidden, vocabulary = MOST_ROWS + 3, MOST_ROWS + 20
    explanation, _ = made("lstm", 2, hidden=hidden, vocabulary=vocabulary)
    steps = steps_of(explanation, [chr(65 + n) for n in range(vocabulary)], 1, [0, hidden - 1])
    sections = [*steps.forward(1), *steps.back(1)]
    assert {len(section.columns) for section in sections} == {2, MOST_ROWS}
    labels = [line.label for section in sections for line in section.lines]
    assert "h′ W_hh" in labels
    assert not any("row" in label for label in labels)
    shown = next(section for section in sections if section.title.startswith("Logits"))
    assert chr(65 + IDS[2]) in shown.columns


@pytest.mark.parametrize("cell", ["gru", "transformer"])
@pytest.mark.parametrize("width", [30, 60, 200])
def test_lines_fit_the_terminal(width, cell):
    explanation, _ = made(cell)
    steps = steps_of(explanation, ["e", "\x1b", "漢", "␣"], 0, range(4))
    lines = list(step_lines(2, steps.summary(1), steps.forward(1), steps.back(1), width))
    assert len(lines) > 100
    assert all(line.cell_len <= width for line in lines)
    assert "\x1b" not in "".join(line.plain for line in lines)


def test_what_cannot_be_explained_is_refused(monkeypatch):
    monkeypatch.setitem(CELLS, "elman", ElmanCell())
    with pytest.raises(ConfigError, match=r"cell is elman, and only those of lstm, capped-lstm, .* are explained"):
        Explanation(ModelConfig(4, 4, 1, cell="elman"), {}, IDS)
    with pytest.raises(ConfigError, match="two characters or more"):
        made("rnn", ids=[1])
