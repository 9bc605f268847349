"""The Transformer's oracle against finite differences, and against itself: windows, a cache, rows for themselves."""

import numpy as np
import pytest
import reference
import transformer_reference as oracle

V, H, F, L, HEADS = 5, 6, 4, 2, 2


def parameters(rng, hidden=H):
    shapes = {"embedding": (V, hidden)}
    for k in range(L):
        shapes |= {f"g_att_l{k}": (hidden,), f"w_qkv_l{k}": (hidden, 3 * hidden), f"w_att_l{k}": (hidden, hidden)}
        shapes |= {f"g_mlp_l{k}": (hidden,), f"w_up_l{k}": (hidden, 2 * F), f"w_down_l{k}": (F, hidden)}
    shapes |= {"g_out": (hidden,), "w_out": (hidden, V), "b_out": (V,)}
    return {name: rng.normal(name.startswith("g_"), 0.5, shape) for name, shape in shapes.items()}


def carried(rng, values, batch, context, heads=HEADS):
    """A state after each row has read another number of characters: 0, 1, 2 …; 7 more in the last row."""
    state = oracle.empty_state(L, batch, context, len(values["g_out"]))
    for b in range(batch):
        row = oracle.empty_state(L, 1, context, len(values["g_out"]))
        x = rng.integers(V, size=(b + 7 * (b == batch - 1), 1))
        if len(x):
            _, row, _ = oracle.forward(values, x, row, heads)
        for name in state:
            state[name][:, b] = row[name][:, 0]
    return state


@pytest.mark.parametrize("context", [1, 3, 8])
@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("heads", [1, 2])  # a head of 6 columns, of 3
def test_gradients_are_the_finite_differences(context, with_masks, heads, rng):
    steps, batch = 5, 3
    values = parameters(rng)
    x, y = rng.integers(V, size=(2, steps, batch))
    y[2, 1] = -1
    state = carried(rng, values, batch, context, heads)
    masks = {}
    if with_masks:
        masks = {name: rng.integers(0, 2, (L, steps, batch, H)) * 2.0 for name in ("attention", "mlp")}
        masks["input"] = rng.integers(0, 2, (steps, batch, H)) * 2.0
        masks["weights"] = rng.integers(0, 2, (L, steps, batch, heads, context + steps)) * 2.0

    _, gradient, _, _ = oracle.loss_and_gradient(values, x, y, state, heads, masks)
    assert list(gradient) == list(values)

    def loss():
        logits, _, _ = oracle.forward(values, x, state, heads, masks)
        return reference.losses(logits, y).sum() / np.count_nonzero(y >= 0)

    for name, value in values.items():
        numeric = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            before = value[place]
            value[place] = before + 1e-5
            above = loss()
            value[place] = before - 1e-5
            numeric[place] = (above - loss()) / 2e-5
            value[place] = before
        np.testing.assert_allclose(gradient[name], numeric, rtol=5e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("context", [1, 3, 4, 20])
def test_the_logits_do_not_depend_on_where_windows_end(context, rng):
    values = parameters(rng)
    x = rng.integers(V, size=(12, 2))
    state = oracle.empty_state(L, 2, context, H)
    whole, last, _ = oracle.forward(values, x, state, HEADS)
    parts = []
    for part in (x[:1], x[1:6], x[6:8], x[8:]):
        logits, state, _ = oracle.forward(values, part, state, HEADS)
        parts.append(logits)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12)
    for name in state:
        np.testing.assert_allclose(state[name], last[name], rtol=1e-12)
    assert (state["position"] == 12).all()


def test_a_batch_row_does_not_see_another(rng):
    values = parameters(rng)
    x, state = rng.integers(V, size=(5, 3)), carried(rng, values, 3, 4)
    together, _, _ = oracle.forward(values, x, state, HEADS)
    for b in range(3):
        one = {name: value[:, b : b + 1] for name, value in state.items()}
        alone, _, _ = oracle.forward(values, x[:, b : b + 1], one, HEADS)
        np.testing.assert_allclose(together[:, b], alone[:, 0], rtol=1e-12)


def test_one_layer_sees_exactly_the_last_characters_of_its_context(rng):
    """In one layer, a change C characters ago changes nothing; a change C - 1 characters ago does."""
    values = {name: value for name, value in parameters(rng).items() if not name.endswith("_l1")}
    context, x = 4, rng.integers(V, size=(9, 1))
    state = oracle.empty_state(1, 1, context, H)

    def last(x):
        return oracle.forward(values, x, state, HEADS)[0][-1]

    for distance in range(1, 8):
        other = x.copy()
        other[-1 - distance] = (other[-1 - distance] + 1) % V
        assert np.array_equal(last(other), last(x)) == (distance >= context)


def test_only_the_distance_of_positions_counts(rng):
    q = rng.normal(size=(6, 1, 5))
    turned = oracle.rotate(q, np.arange(6))
    np.testing.assert_array_equal(turned[..., 4], q[..., 4])
    np.testing.assert_array_equal(oracle.rotate(q, np.arange(6) + oracle.TURN), turned)
    np.testing.assert_allclose(oracle.rotate(turned, np.arange(6), backwards=True), q, rtol=1e-12)
    products = np.einsum("thd,nhd->tn", turned, turned)
    shifted = oracle.rotate(q, np.arange(6) + 1_000_003)
    np.testing.assert_allclose(np.einsum("thd,nhd->tn", shifted, shifted), products, rtol=1e-9, atol=1e-12)
