"""The Transformer in PyTorch that exports bring: logits and gradients against the oracle, also with a cache."""

import importlib.util
from pathlib import Path

import foreign
import numpy as np
import pytest
import transformer_reference as oracle

from charrnn.config import ModelConfig
from charrnn.model import Model

V, LAYERS = 7, 2
SIZES = [(8, 2, 5), (6, 2, 16), (12, 4, 3)]  # hidden, heads, context; a head has 4 columns, or 3


@pytest.fixture
def torch():
    library = pytest.importorskip("torch", reason="PyTorch is not installed")
    library.set_num_threads(1)
    return library


@pytest.fixture
def module(torch):
    path = Path(__file__).parents[2] / "charrnn" / "checkpoints" / "foreign" / "pytorch_transformer.py"
    spec = importlib.util.spec_from_file_location("pytorch_transformer", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def torch_name(name):
    others = {"embedding": "embedding.weight", "w_out": "head.weight", "b_out": "head.bias"}
    return others.get(name, f"transformer.{name}")


def in_torch(name, value):
    """A matrix as PyTorch's Linear has it."""
    return value.T if name.startswith("w_") else value


def drawn(module, rng, hidden, heads, context):
    """A module, and its parameters as the oracle has them."""
    model = module.Transformer(V, hidden, LAYERS, heads, context)
    tensors = dict(model.named_parameters())
    names = {torch_name(name): name for name in ("embedding", "w_out", "b_out")}
    parameters = {}
    for key, tensor in tensors.items():
        name = names.get(key, key.removeprefix("transformer."))
        value = rng.normal(name.startswith("g_"), 0.5, tensor.shape).astype(np.float32)
        tensor.data[:] = module.torch.from_numpy(value)
        parameters[name] = in_torch(name, value).astype(np.float64)
    return model, parameters


@pytest.mark.parametrize(("hidden", "heads", "context"), SIZES)
def test_logits_and_gradients_are_the_oracles(torch, module, rng, hidden, heads, context):
    model, parameters = drawn(module, rng, hidden, heads, context)
    x, y = rng.integers(V, size=(2, 9, 3))
    state = oracle.empty_state(LAYERS, 3, context, hidden)
    loss, gradient, logits, _ = oracle.loss_and_gradient(parameters, x, y, state, heads)

    found, _ = model(torch.from_numpy(x))
    np.testing.assert_allclose(found.detach().numpy(), logits, rtol=2e-5, atol=2e-5)
    mean = torch.nn.functional.cross_entropy(found.flatten(0, 1), torch.from_numpy(y).flatten())
    assert mean.item() == pytest.approx(loss, rel=1e-5)
    mean.backward()
    tensors = dict(model.named_parameters())
    assert set(tensors) == {torch_name(name) for name in parameters}
    for name, value in gradient.items():
        expected = in_torch(name, value)
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(tensors[torch_name(name)].grad.numpy(), expected, 1e-4, tolerance, err_msg=name)


@pytest.mark.parametrize(("hidden", "heads", "context"), SIZES)
def test_a_text_in_pieces_has_the_logits_of_the_whole(torch, module, rng, hidden, heads, context):
    model, _ = drawn(module, rng, hidden, heads, context)
    x, state, found = torch.from_numpy(rng.integers(V, size=(29, 2))), None, []
    with torch.no_grad():
        expected, _ = model(x)
        for piece in x.split([1, 1, 2, 9, 1, 15]):
            logits, state = model(piece, state)
            found.append(logits)
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [{"heads": 3, "context": 20}, {}])  # {}: 4 heads, a context of 64
def test_a_checkpoint_of_a_run_gives_the_logits_of_charrnn(torch, module, tmp_path, sizes):
    made = foreign.checkpoint(ModelConfig(len(set(foreign.TEXT)), 24, LAYERS, cell="transformer", **sizes))
    made.save(tmp_path / "model.safetensors")
    model = module.load(str(tmp_path / "model.safetensors"))
    characters = "".join(map(chr, model.vocabulary.tolist()))
    text = foreign.TEXT[:150]
    with torch.no_grad():
        logits = model(torch.tensor([[characters.index(letter)] for letter in text]))[0][:, 0].numpy()
    charrnn = Model.from_checkpoint(made, threads=1)
    ids = np.ascontiguousarray(charrnn.encode(text)[:, None])
    expected = charrnn.network.forward(ids, charrnn.network.initial_state(1))[:, 0]
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
