"""Readings of attention: the same weights in any part of a text, by character, and the strongest of them."""

import numpy as np
import pytest
from planted_heads import CONTEXT, model_of, text_of

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inspection import attention
from charrnn.inspection.attention import HeadSums, read_attention, strongest, summary
from charrnn.inspection.heads import require_heads, silence
from charrnn.inspection.passage import EncodedText
from charrnn.model import Model
from charrnn.network.network import Network

TEXT = text_of(3000, seed=7)


@pytest.fixture(scope="module")
def model():
    """A new model: its weights depend on everything that was read."""
    made = model_of()
    network = Network(made.network.config, seed=4, threads=1)
    return Model(network, made.vocabulary)


@pytest.fixture(scope="module")
def whole(model):
    """The weights over the whole text, (N, L, N, C), read in one window."""
    network, ids = model.network, model.encode(TEXT)
    network.read(np.asarray(ids, np.int32)[:, None], network.initial_state(1))
    return np.stack([network.attention_weights(layer)[:, 0] for layer in range(2)], axis=1)


@pytest.mark.parametrize(("offset", "length"), [(0, None), (0, 5), (20, 1), (1500, 100), (2990, 50)])
def test_a_part_of_a_text_is_read_with_what_came_before(model, whole, offset, length):
    found = read_attention(model, model.encode(TEXT), offset, length)
    stop = len(TEXT) if length is None else min(offset + length, len(TEXT))
    assert found.text == TEXT[offset:stop]
    assert found.before == TEXT[max(offset - CONTEXT + 1, 0) : offset]
    np.testing.assert_allclose(found.weights, whole[offset:stop], atol=2e-6)


def test_the_memory_of_a_window_is_bounded(model, whole, monkeypatch):
    monkeypatch.setattr(attention, "_AT_ONCE", 2 * 3 * CONTEXT * 7 + 1)
    sizes, read = [], Network.read

    def watched(network, x, state):
        sizes.append(x.shape)
        read(network, x, state)

    monkeypatch.setattr(Network, "read", watched)
    found = read_attention(model, model.encode(TEXT), 100, 40)
    np.testing.assert_allclose(found.weights, whole[100:140], atol=2e-6)
    summary(model, model.encode(TEXT[:300]))
    assert set(sizes) <= {(steps, 1) for steps in range(1, 8)}
    monkeypatch.setattr(attention, "_AT_ONCE", 1)  # a context that is too long: one character at a time
    assert summary(model, model.encode(TEXT[:20])).characters == 20


def test_weights_by_character(model, whole):
    found = read_attention(model, model.encode(TEXT), 100, 50)
    matrix = found.matrix((1, 2))
    assert matrix.shape == (50, 51)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    for row, column in ((0, 0), (3, 1), (49, 30), (49, 10), (5, 6)):
        back = row - column
        expected = whole[100 + row, 1, 2, back] if 0 <= back < CONTEXT else 0
        assert matrix[row, 1 + column] == pytest.approx(expected, abs=2e-6)
    assert matrix[3, 0] == pytest.approx(whole[103, 1, 2, 4:].sum(), abs=1e-5)
    assert matrix[40, 0] == 0  # all that it looks at is in the text


def test_one_characters_view(model, whole):
    found = read_attention(model, model.encode(TEXT), 100, 3)
    text, weights = found.looked_at(2)
    assert text == TEXT[102 - CONTEXT + 1 : 103]
    np.testing.assert_allclose(weights[::-1], whole[102].transpose(2, 0, 1), atol=2e-6)
    text, weights = read_attention(model, model.encode(TEXT), 4, 1).looked_at(0)
    assert (text, weights.shape) == (TEXT[:5], (5, 2, 3))


@pytest.mark.parametrize("offset", [0, 700])
def test_the_strongest_in_several_rows(model, whole, offset, monkeypatch):
    monkeypatch.setattr(attention, "_AT_ONCE", 2 * 3 * CONTEXT * 64 * 2)  # windows of two rows
    heads = [(1, 0), (0, 2)]
    backs, weights = strongest(model, model.encode(TEXT), heads, offset, count=4)
    assert backs.shape == weights.shape == (len(TEXT) - offset, 2, 4)
    for number, (layer, head) in enumerate(heads):
        expected = whole[offset:, layer, head]
        np.testing.assert_allclose(weights[:, number], -np.sort(-expected, axis=1)[:, :4], atol=3e-6)
        there = np.take_along_axis(expected, backs[:, number], 1) * (weights[:, number] > 0)
        np.testing.assert_allclose(there, weights[:, number], atol=3e-6)
    if not offset:
        assert (backs[0, :, 1:] == 0).all() and (weights[0, :, 1:] == 0).all()


def test_a_summary_has_the_means_over_all_characters(model, whole):
    found = summary(model, model.encode(TEXT))
    assert found.characters == len(TEXT)
    np.testing.assert_allclose(found.by_distance, whole.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.weight["previous"], whole[1:, :, :, 1].mean(axis=0), atol=1e-5)
    text = EncodedText(model.vocabulary, model.encode(TEXT))
    back = attention.PATTERNS[3].back(text.passage(0, len(TEXT)))
    named = np.flatnonzero((back >= 0) & (back < CONTEXT))
    expected = whole[named, :, :, back[named]].mean(axis=0)
    np.testing.assert_allclose(found.weight["same-character"], expected, atol=1e-5)
    assert found.places["same-character"] == len(named)
    by_distance = np.bincount(back[named], minlength=CONTEXT) / len(named)
    np.testing.assert_allclose(found.expected["same-character"], whole.mean(axis=0) @ by_distance, atol=1e-5)
    alike = (1 / np.minimum(np.arange(len(TEXT)) + 1, CONTEXT)).mean()
    np.testing.assert_allclose(found.expected["previous"], alike)


def test_a_summary_of_a_part_of_a_long_text(model):
    found = summary(model, model.encode(text_of(40_000)), most=4000)
    assert 4000 - 32 <= found.characters <= 4000
    np.testing.assert_allclose(found.by_distance.sum(axis=2), 1, atol=1e-4)


def test_a_text_of_one_character(model):
    found = summary(model, model.encode("a"))
    assert found.places["itself"] == 1
    assert found.places["previous"] == 0
    assert (found.distance == 0).all() and (found.entropy == 0).all()
    # All that can be looked at is the character itself: nothing is more than expected.
    assert {found.best(head) for head in found.heads} == {None}


def test_sums_do_not_depend_on_the_parts(whole):
    at, backs = np.arange(200), np.full((1, 200), 2)
    at_once, in_parts = (HeadSums(1, 2, 3, CONTEXT) for _ in range(2))
    at_once.add(at, whole[:200], backs)
    for part in (slice(0, 77), slice(77, 200)):
        in_parts.add(at[part], whole[part], backs[:, part])
    for name, value in vars(at_once).items():
        np.testing.assert_allclose(getattr(in_parts, name), value, rtol=1e-6)


def test_what_cannot_be_read(model, monkeypatch):
    ids = model.encode(TEXT)
    with pytest.raises(ConfigError, match="nothing at offset 3,000"):
        read_attention(model, ids, 3000)
    with pytest.raises(ConfigError, match="offset must be 0 or more"):
        read_attention(model, ids, -1)
    with pytest.raises(ConfigError, match="there is nothing to read"):
        summary(model, ids[:0])
    monkeypatch.setattr(attention, "LARGEST", 2 * 3 * CONTEXT * 100)
    with pytest.raises(ConfigError, match="101 characters is too much: give a --length up to 100"):
        read_attention(model, ids, 0, 101)
    with pytest.raises(ConfigError, match=r"there is no head 0:3: layers are 0 to 1, heads 0 to 2"):
        require_heads(model.network, [(0, 3)])
    with pytest.raises(ConfigError, match="an ensemble has no heads"):
        require_heads(Ensemble([model.network, model.network]), [])


def test_a_silenced_network_is_a_copy(model):
    before, x = model.network.parameters.flat.copy(), np.arange(12, dtype=np.int32)[:, None]
    silent = silence(model.network, [(0, 0), (1, 2)])
    np.testing.assert_array_equal(model.network.parameters.flat, before)
    changed = silent.forward(x, silent.initial_state(1)) != model.network.forward(x, model.network.initial_state(1))
    assert changed.any()
    none = silence(model.network, [])
    np.testing.assert_array_equal(
        none.forward(x, none.initial_state(1)), model.network.forward(x, model.network.initial_state(1))
    )


def test_a_recurrent_network_is_refused():
    network = Network(ModelConfig(12, 8, 1, cell="gru"), threads=1)
    with pytest.raises(ConfigError, match="the GRU has no attention: only a Transformer has heads"):
        silence(network, [(0, 0)])
    with pytest.raises(ConfigError, match="no attention"):
        network.cell.context(network.config)
    with pytest.raises(ConfigError, match="no attention"):
        network.cell.silence_head(network.parameters, network.config, 0, 0)
