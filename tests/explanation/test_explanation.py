"""The explained step: its equations, gradients and finite differences agree with each other and with the kernels."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from charrnn.config import ModelConfig
from charrnn.display.reports.explanation import step_lines
from charrnn.errors import ConfigError
from charrnn.explanation.equations import EQUATIONS
from charrnn.explanation.explain import HEAD, Explanation
from charrnn.explanation.sections import MOST_ROWS, Steps
from charrnn.network.network import Network

IDS = [1, 0, 2, 2, 3]
SHAPES = [(1, None), (2, None), (1, 3), (2, 5)]
SMOOTH_SEED = 2  # see is_smooth


def made(cell, layers=1, embedding=None, hidden=4, seed=1, vocabulary=4, ids=IDS):
    config = ModelConfig(vocabulary, hidden, layers, cell=cell, embedding=embedding)
    network = Network(config, seed=seed, threads=1)
    rng = np.random.default_rng(seed)
    network.parameters.flat[:] += rng.normal(0, 0.1, network.parameters.flat.shape)  # biases that are not zero
    network.parameters_changed()
    return Explanation(config, network.parameters, ids), network


def is_smooth(explanation):
    """Whether no gate of a capped LSTM is near the kink of min(i, 1 - f), where a finite difference is no gradient."""
    layers = range(explanation.config.layers)
    sums = [values[layer]["i"] + values[layer]["f"] for values in explanation.values for layer in layers]
    return np.abs(np.concatenate(sums) - 1).min() > 0.01


@pytest.mark.parametrize("cell", EQUATIONS)
@pytest.mark.parametrize(("layers", "embedding"), SHAPES)
def test_every_gradient_is_its_finite_difference(cell, layers, embedding):
    explanation, _ = made(cell, layers, embedding, seed=SMOOTH_SEED)
    assert cell != "capped-lstm" or is_smooth(explanation)
    for t in range(explanation.steps):
        for layer, gradients in explanation.gradients[t].items():
            for name, gradient in gradients.items():
                for index in np.ndindex(gradient.shape):
                    found = explanation.difference(t, layer, name, index)
                    assert abs(found - gradient[index]) < 1e-9, (t, layer, name, index)
        for layer in range(layers if t else 0):
            for name, gradient in explanation.arriving[t - 1][layer].items():
                for unit in range(4):
                    assert abs(explanation.difference(t, layer, f"{name}′", (unit,)) - gradient[unit]) < 1e-9


@pytest.mark.parametrize("cell", EQUATIONS)
@pytest.mark.parametrize(("layers", "embedding"), SHAPES)
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
        expected[f"w_hh_l{layer}"] = np.concatenate([summed(layer, f"w_hh_{gate}") for gate in equations.gates], axis=1)
        expected[f"b_l{layer}"] = np.concatenate([summed(layer, f"b_{part}") for part in equations.biases])
    for name, gradient in expected.items():
        np.testing.assert_allclose(network.gradient[name], gradient, rtol=1e-4, atol=1e-6, err_msg=name)


@given(seed=st.integers(0, 2**31), cell=st.sampled_from(sorted(EQUATIONS)), hidden=st.integers(1, 5))
def test_the_shown_digits_of_gradients_and_differences_are_equal(seed, cell, hidden):
    explanation, _ = made(cell, hidden=hidden, seed=seed)
    assume(cell != "capped-lstm" or is_smooth(explanation))
    steps = Steps(explanation, list("ehlo"), 0, range(hidden))
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


@pytest.mark.parametrize("cell", EQUATIONS)
def test_numbers_add_up_as_they_are_shown(cell):
    explanation, _ = made(cell)
    steps = Steps(explanation, list("ehlo"), 0, range(4))
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


def test_a_wide_network_shows_sums_and_the_likeliest_characters():
    hidden, vocabulary = MOST_ROWS + 3, MOST_ROWS + 20
    explanation, _ = made("lstm", 2, hidden=hidden, vocabulary=vocabulary)
    steps = Steps(explanation, [chr(65 + n) for n in range(vocabulary)], 1, [0, hidden - 1])
    sections = [*steps.forward(1), *steps.back(1)]
    assert {len(section.columns) for section in sections} == {2, MOST_ROWS}
    labels = [line.label for section in sections for line in section.lines]
    assert "h′ W_hh" in labels
    assert not any("row" in label for label in labels)
    shown = next(section for section in sections if section.title.startswith("Logits"))
    assert chr(65 + IDS[2]) in shown.columns


@pytest.mark.parametrize("width", [30, 60, 200])
def test_lines_fit_the_terminal(width):
    explanation, _ = made("gru")
    steps = Steps(explanation, ["e", "\x1b", "漢", "␣"], 0, range(4))
    lines = list(step_lines(2, steps.summary(1), steps.forward(1), steps.back(1), width))
    assert len(lines) > 100
    assert all(line.cell_len <= width for line in lines)
    assert "\x1b" not in "".join(line.plain for line in lines)


def test_what_cannot_be_explained_is_refused():
    config = ModelConfig(4, 4, 1, cell="transformer")
    with pytest.raises(ConfigError, match="only those of lstm, capped-lstm, coupled-lstm, gru, rnn are explained"):
        Explanation(config, {}, IDS)
    with pytest.raises(ConfigError, match="two characters or more"):
        made("rnn", ids=[1])
