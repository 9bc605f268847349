"""Models as ONNX graphs, run by onnxruntime."""

import json
from pathlib import Path

import foreign
import numpy as np
import pytest
from command_line import ROOT, invoke
from forgeries import make

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.foreign import onnx_recurrent, to_onnx
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.model import Model
from charrnn.network.cells import cell_of

PYTHON = ROOT / "checkpoints" / "python.safetensors"


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")


@pytest.fixture
def runtime(onnx):
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def runner(runtime, made):
    """``run(x, state)`` for :func:`foreign.compare`, on a session."""
    session = runtime.InferenceSession(to_onnx.onnx_file(made), providers=["CPUExecutionProvider"])
    model, names = made.model, cell_of(made.model).state

    def first_state(batch):
        if model.cell != "transformer":
            return [np.zeros((model.layers, batch, model.hidden), np.float32)] * len(names)
        heads = cell_of(model).heads(model)
        cache = np.zeros((model.layers, batch, heads, 0, model.hidden // heads), np.float32)
        return [cache, cache, np.array([0])]

    def run(x, state):
        state = state or first_state(x.shape[1])
        outputs = ["logits", *(f"next_{name}" for name in names)]
        logits, *state = session.run(outputs, {"ids": x} | dict(zip(names, state, strict=True)))
        return logits, state

    return run


@pytest.mark.parametrize("name", foreign.MODELS)
def test_logits_are_the_networks_over_a_long_text_in_chunks(runtime, name):
    made = foreign.checkpoint(foreign.MODELS[name])
    assert foreign.compare(made, runner(runtime, made)) < 1e-5


def test_a_model_of_bytes(runtime):
    made = foreign.bytes_checkpoint()
    assert foreign.compare(made, runner(runtime, made)) < 1e-5


def test_the_loss_of_the_bundled_model_on_a_long_text(runtime):
    made = Checkpoint.load(PYTHON)
    model, run = Model.from_checkpoint(made), runner(runtime, made)
    ids = model.encode(Path(onnx_recurrent.__file__).read_text("utf-8") * 2)
    own, state, losses, expected = model.network.initial_state(1), None, [], []
    for start in range(0, len(ids) - 1, 3000):
        y = ids[start + 1 : start + 3001, None]
        x = ids[start : start + len(y), None]
        expected += list(model.network.losses(x, y, own)[:, 0].astype(float))
        logits, state = run(x.astype(np.int64), state)
        logits = logits[:, 0].astype(float)
        losses += list(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y[:, 0]])
    assert len(losses) == len(ids) - 1 > 10_000
    assert np.mean(losses) == pytest.approx(np.mean(expected), abs=1e-5)
    np.testing.assert_allclose(losses, expected, atol=1e-4)


def test_the_state_is_the_networks(runtime):
    made = foreign.checkpoint(foreign.MODELS["lstm"])
    model = Model.from_checkpoint(made, threads=1)
    x = model.encode(foreign.TEXT[:400]).reshape(-1, 2)
    own = model.network.initial_state(2)
    model.network.read(x, own)
    _, (h, c) = runner(runtime, made)(x.astype(np.int64), None)
    np.testing.assert_allclose(h, own["h"], atol=1e-5)
    np.testing.assert_allclose(c, own["c"], rtol=1e-5, atol=1e-5)


def test_the_graph_says_what_it_needs(onnx):
    made = foreign.checkpoint(foreign.MODELS["lstm"])
    model = onnx.load_model_from_string(to_onnx.onnx_file(made))
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 22)]
    assert [node.op_type for node in model.graph.node].count("LSTM") == made.model.layers
    assert [each.name for each in model.graph.input] == ["ids", "h", "c"]
    assert [each.name for each in model.graph.output] == ["logits", "next_h", "next_c"]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [each.dim_param for each in sizes] == ["time", "batch"]
    metadata = {each.key: each.value for each in model.metadata_props}
    assert json.loads(metadata["vocabulary"]) == made.vocabulary.to_list()


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_cell_with_one_state_is_one_operator(onnx, cell):
    model = onnx.load_model_from_string(to_onnx.onnx_file(foreign.checkpoint(foreign.MODELS[cell])))
    assert [node.op_type for node in model.graph.node].count(cell.upper()) == 2
    assert [each.name for each in model.graph.input] == ["ids", "h"]
    assert [each.name for each in model.graph.output] == ["logits", "next_h"]


def test_a_transformer_remembers_as_many_characters_as_its_context_needs(runtime):
    made = foreign.checkpoint(foreign.MODELS["transformer of one layer with odd heads"])  # 3 heads of 5, a context of 7
    run, state, seen = runner(runtime, made), None, []
    for steps in (1, 4, 9, 1):
        _, state = run(np.zeros((steps, 2), np.int64), state)
        seen.append(state[0].shape)
    assert seen == [(1, 2, 3, length, 5) for length in (1, 5, 6, 6)]
    assert state[2].tolist() == [15]


def test_positions_of_a_transformer_are_exact_far_into_a_text(runtime):
    made = foreign.checkpoint(foreign.MODELS["transformer"])
    model, run = Model.from_checkpoint(made, threads=1), runner(runtime, made)
    x = model.encode(foreign.TEXT[:100]).reshape(-1, 2)
    near = model.network.forward(x, model.network.initial_state(2))
    _, state = run(x[:1].astype(np.int64), None)
    cache = state[0][:, :, :, :0]
    far, _ = run(x.astype(np.int64), [cache, cache, np.array([2**23 - 30])])
    np.testing.assert_allclose(far, near, atol=2e-5 * np.abs(near).max())


@pytest.mark.parametrize("width", [1, 2, 3])
def test_heads_of_one_column_and_more(runtime, width):
    config = ModelConfig(len(set(foreign.TEXT)), 4 * width, 2, cell="transformer", heads=4, context=9)
    made = foreign.checkpoint(config)
    assert foreign.compare(made, runner(runtime, made)) < 1e-5


def test_gates_are_in_the_order_i_o_f_c(onnx):
    made = make()
    model = onnx.load_model_from_string(to_onnx.onnx_file(made))
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    own, hidden = made.parameters["w_hh_l0"], made.model.hidden
    i, f, g, o = (own[:, gate * hidden : (gate + 1) * hidden] for gate in range(4))
    np.testing.assert_array_equal(weights["r0"][0].T, np.hstack([i, o, f, g]))


def test_what_onnx_cannot_have_is_refused_in_one_line(onnx, monkeypatch):
    elman = make()
    elman.model = ModelConfig(elman.model.vocabulary, 5, 2, cell="elman")
    with pytest.raises(ConfigError, match="no graph of ONNX for the cell elman"):
        to_onnx.onnx_file(elman)
    monkeypatch.setattr(to_onnx, "_LARGEST", 1000)
    with pytest.raises(ConfigError, match="less than 2 GB"):
        to_onnx.onnx_file(make())


def test_a_missing_library_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.system.libraries.find_spec", lambda name: None)
    for ending, library in ((".onnx", "onnx"), (".pt", "torch")):
        result = invoke("export", "nobody", tmp_path / f"a{ending}")
        assert result.exit_code == 1
        assert result.stderr.endswith(f"needs {library}: pip install {library}, where charrnn is installed\n")
    assert not any(tmp_path.iterdir())
