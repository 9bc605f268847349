"""The oracle against finite differences: every parameter, and the incoming state."""

import numpy as np
import pytest
import reference

from charrnn.config import ModelConfig
from charrnn.network.cells import parameter_shapes


@pytest.mark.parametrize("embedding", [None, 3])
@pytest.mark.parametrize("with_masks", [False, True])
@pytest.mark.parametrize("tar", [0.0, 1.7])
@pytest.mark.parametrize("cell", reference.CELLS)
def test_gradients_are_the_finite_differences(embedding, with_masks, cell, tar, rng):
    steps, batch, vocabulary, hidden, layers = 5, 3, 4, 3, 2
    config = ModelConfig(vocabulary, hidden, layers, embedding, cell)
    parameters = {name: rng.normal(0, 0.5, shape) for name, shape in parameter_shapes(config).items()}
    x, y = rng.integers(vocabulary, size=(2, steps, batch))
    y[2, 1] = -1
    state = tuple(rng.normal(0, 0.5, (len(reference.CELLS[cell].state), layers, batch, hidden)))
    masks = rng.integers(0, 2, (layers, steps, batch, hidden)) * 2.0 if with_masks else None

    _, gradient, state_gradient, _, _ = reference.loss_and_gradient(parameters, x, y, state, masks, cell=cell, tar=tar)

    def loss():
        logits, _, (trace, _) = reference.forward(parameters, x, state, masks, cell)
        count = np.count_nonzero(y >= 0)
        return reference.losses(logits, y).sum() / count + reference.changes_penalty(trace, tar, count)[0]

    checked = [*((parameters[name], gradient[name]) for name in parameters), *zip(state, state_gradient, strict=True)]
    for value, derivative in checked:
        numeric = np.zeros_like(value)
        for place in np.ndindex(value.shape):
            before = value[place]
            value[place] = before + 1e-5
            above = loss()
            value[place] = before - 1e-5
            numeric[place] = (above - loss()) / 2e-5
            value[place] = before
        np.testing.assert_allclose(derivative, numeric, rtol=1e-6, atol=1e-9)
