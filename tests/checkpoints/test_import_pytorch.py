"""State dicts of PyTorch: which tensors are taken, what is refused, and files that lie.  PyTorch itself is optional."""

import contextlib
import io
import json
import pickle
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import foreign
import numpy as np
import pytest
import pytorch_files
import reference
import safetensors.numpy
from fuzzing import LONGEST_MESSAGE
from pytorch_files import (
    ORDERED,
    Raw,
    archive,
    built,
    call,
    doubled,
    name,
    name_from_stack,
    nested,
    old,
    state_dict,
)

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.foreign import pt_file, to_pytorch
from charrnn.checkpoints.foreign.importing import import_model
from charrnn.checkpoints.foreign.state_dict import Names
from charrnn.checkpoints.foreign.tensors import contiguous
from charrnn.checkpoints.pytorch import to_torch
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, CheckpointError, ConfigError
from charrnn.model import Model
from charrnn.network.cells import cell_of, parameter_shapes
from charrnn.text.vocabulary import Vocabulary

SYMBOLS = "abcde"  # as many as state_dict has


@pytest.fixture
def imported(tmp_path):
    """A function: the checkpoint in the bytes of a file, whose characters are a, b, c …, and the line about it."""

    def imported(data, symbols=Vocabulary(SYMBOLS), **names):  # noqa: B008
        path = tmp_path / "model.pt"
        path.write_bytes(data)
        return import_model(path, symbols, Names(**names))

    return imported


def weights(rng, **sizes):
    return state_dict(rng, **sizes)


def reference_of(tensors, ids, lstm="lstm.", encoder="embedding", head="head"):
    """Log-probabilities (N, V) by the float64 reference, from tensors under names of PyTorch."""
    tensors = {key: value.astype(float) for key, value in tensors.items()}
    layers = sum(key.startswith(f"{lstm}weight_hh") for key in tensors)
    parameters = {"w_out": tensors[f"{head}.weight"].T, "b_out": tensors.get(f"{head}.bias", 0.0)}
    if f"{encoder}.weight" in tensors:
        parameters["embedding"] = tensors[f"{encoder}.weight"]
    for k in range(layers):
        parameters[f"w_ih_l{k}"] = tensors[f"{lstm}weight_ih_l{k}"].T
        parameters[f"w_hh_l{k}"] = tensors[f"{lstm}weight_hh_l{k}"].T
        parameters[f"b_l{k}"] = tensors.get(f"{lstm}bias_ih_l{k}", 0.0) + tensors.get(f"{lstm}bias_hh_l{k}", 0.0)
    hidden = tensors[f"{head}.weight"].shape[1]
    state = np.zeros((2, layers, 1, hidden))
    logits = reference.forward(parameters, np.array(ids)[:, None], state)[0][:, 0]
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def found_of(checkpoint, ids):
    text = checkpoint.vocabulary.decode(ids)
    return Model.from_checkpoint(checkpoint, 1).activations(text)["log_probabilities"]


FORMS = {
    "archive": archive,
    "old": old,
    "safetensors": lambda tensors: safetensors.numpy.save({key: value.copy() for key, value in tensors.items()}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sizes", [{}, {"embedding": None}, {"layers": 3, "hidden": 9, "embedding": 2}, {"layers": 1}])
def test_an_imported_model_computes_the_equations_of_the_lstm(imported, rng, form, sizes):
    tensors = weights(rng, **sizes)
    checkpoint, _ = imported(FORMS[form](tensors))
    ids = rng.integers(5, size=300)
    np.testing.assert_allclose(found_of(checkpoint, ids), reference_of(tensors, ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"embedding": None, "layers": 1}])
@pytest.mark.parametrize(("cell", "share", "title"), [("gru", 3 / 4, "GRU"), ("rnn", 1 / 4, "RNN")])
def test_the_shapes_tell_a_gru_and_an_rnn(imported, rng, cell, share, title, sizes, biases):
    """Whatever the module is called.  PyTorch's two biases are added up, but for those of a GRU's candidate."""
    tensors = {key: value for key, value in cut(weights(rng, **sizes), share).items() if biases or "bias" not in key}
    checkpoint, about = imported(archive(tensors))
    assert f"{title} 'lstm'" in about
    assert checkpoint.model.cell == cell
    ids = rng.integers(5, size=100)
    layers, parts = checkpoint.model.layers, {}
    for key, value in checkpoint.parameters.items():
        parts[key] = value.astype(float)
    for k in range(layers):
        ih, hh = (tensors.get(f"lstm.bias_{each}_l{k}", np.zeros(1)).astype(float) for each in ("ih", "hh"))
        hidden = checkpoint.model.hidden
        expected = np.concatenate([(ih + hh)[: 2 * hidden], ih[2 * hidden :], hh[2 * hidden :]])
        parts[f"b_l{k}"] = np.zeros_like(parts[f"b_l{k}"]) + (expected if cell == "gru" and biases else ih + hh)
        for each in ("w_ih", "w_hh"):
            parts[f"{each}_l{k}"] = tensors[f"lstm.{each.replace('w', 'weight')}_l{k}"].astype(float).T
    logits = reference.forward(parts, ids[:, None], (np.zeros((layers, 1, 4)),), cell=cell)[0][:, 0]
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found_of(checkpoint, ids), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("dtype", "note"), [("float64", "float64 became"), ("float16", "float16 became"), ("float32", "")]
)
def test_other_types_of_numbers_become_float32(imported, rng, dtype, note):
    tensors = weights(rng, dtype=dtype)
    checkpoint, about = imported(archive(tensors))
    assert ("became float32" in about) == bool(note) and note in about
    np.testing.assert_array_equal(checkpoint.parameters["w_out"].T, tensors["head.weight"].astype("float32"))


def test_bfloat16_is_the_first_half_of_a_float32(imported, rng):
    tensors = weights(rng)
    header, data, end = {}, b"", 0
    for key, value in tensors.items():
        part = (value.view("<u4") >> 16).astype("<u2").tobytes()
        header[key] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [end, end := end + len(part)]}
        data += part
    text = json.dumps(header).encode()
    checkpoint, about = imported(len(text).to_bytes(8, "little") + text + data)
    assert "bfloat16 became float32" in about
    np.testing.assert_allclose(checkpoint.parameters["embedding"], tensors["embedding.weight"], rtol=2**-7)


@pytest.mark.parametrize(
    "wrap", [lambda x: {"state_dict": x}, lambda x: {"a": [{"model": x}], "optimizer": {"state": {0: 1}}}]
)
def test_the_state_dict_may_be_anywhere_in_the_file(imported, rng, wrap):
    tensors = weights(rng, lstm="module.net.rnn.", encoder="module.tok", head="module.fc2")
    _, about = imported(archive(wrap(tensors)))
    assert about == "PyTorch, embedding 'module.tok.weight', LSTM 'module.net.rnn', head 'module.fc2.weight'"


def test_what_is_missing_may_be_missing(imported, rng):
    tensors = weights(rng)
    bare = {key: value for key, value in tensors.items() if "bias" not in key}
    checkpoint, _ = imported(archive(bare))
    ids = rng.integers(5, size=50)
    np.testing.assert_allclose(found_of(checkpoint, ids), reference_of(bare, ids), atol=1e-5, rtol=0)
    lone = {key.removeprefix("lstm."): value for key, value in tensors.items()}
    assert imported(archive(lone))[0].model == checkpoint.model


@pytest.mark.parametrize("once", [False, True])
def test_tied_weights(imported, rng, once):
    tensors = weights(rng, embedding=4, encoder="encoder", head="decoder")
    del tensors["decoder.bias"]
    tensors["decoder.weight"] = tensors["encoder.weight"]
    if once:
        del tensors["decoder.weight"]
    checkpoint, about = imported(archive(tensors))
    assert ("tied" in about) == once
    np.testing.assert_array_equal(checkpoint.parameters["embedding"], checkpoint.parameters["w_out"].T)


def test_the_head_is_found_by_its_bias_or_its_name_or_asked_for(imported, rng):
    tensors = weights(rng, embedding=4, encoder="first", head="second")
    assert "head 'second.weight'" in imported(archive(tensors))[1]  # only it has a bias
    del tensors["second.bias"]
    with pytest.raises(ConfigError, match=r"--head NAME: 'first.weight' \(5, 4\), 'second.weight' \(5, 4\)"):
        imported(archive(tensors))
    assert "head 'second.weight'" in imported(archive(tensors), head="second.weight")[1]
    assert "head 'second.weight'" in imported(archive(tensors), embedding="first.weight")[1]
    assert "embedding 'second.weight'" in imported(archive(tensors), head="first.weight")[1]
    assert (
        "tied"
        in imported(archive(tensors), head="first.weight", embedding="first.weight", ignored=["second.weight"])[1]
    )


def test_the_embedding_is_asked_for_if_several_can_be_it(imported, rng):
    tensors = weights(rng) | {"other": rng.normal(size=(5, 3)).astype("float32")}
    with pytest.raises(ConfigError, match=r"--embedding NAME: 'embedding.weight' \(5, 3\), 'other' \(5, 3\)"):
        imported(archive(tensors))
    with pytest.raises(CheckpointError, match=r"it has 'other' \(5, 3\), which.*--ignore NAME"):
        imported(archive(tensors), embedding="embedding.weight")
    assert "'embedding.weight'" in imported(archive(tensors), ignored=["other"])[1]
    with pytest.raises(ConfigError, match="no tensor 'nothing'"):
        imported(archive(tensors), embedding="nothing")
    for wrong in (
        {"head": "lstm.weight_ih_l0"},
        {"head": "head.bias"},
        {"embedding": "head.weight"},
        {"embedding": "none"},
    ):
        with pytest.raises(ConfigError):
            imported(archive(tensors), **wrong)


def test_a_square_embedding_is_no_one_hot_input_unless_one_says_so(imported, rng):
    tensors = weights(rng, embedding=5)
    assert "embedding 'embedding.weight'" in imported(archive(tensors))[1]
    assert "one-hot" in imported(archive(tensors), embedding="none", ignored=["embedding.weight"])[1]


def test_two_lstms_are_asked_about(imported, rng):
    one, two = weights(rng), weights(rng)
    data = archive({"model": one, "ema": two})
    with pytest.raises(ConfigError, match=r"--lstm NAME: 'model.lstm', 'ema.lstm'"):
        imported(data)
    found, _ = imported(data, lstm="ema.lstm")
    np.testing.assert_array_equal(found.parameters["w_out"].T, two["head.weight"])
    with pytest.raises(ConfigError, match="--lstm"):
        imported(data, lstm="lstm")


def test_an_lstm_without_a_name_is_no_choice_until_it_is_asked_for(imported, rng):
    bare, named = weights(rng, lstm=""), weights(rng, lstm="enc.")
    data = archive(bare | {"a": named})
    with pytest.raises(ConfigError, match=r"--lstm NAME: '\.', 'a\.enc'"):
        imported(data)
    found, about = imported(data, lstm=".")
    assert "LSTM '.'" in about
    np.testing.assert_array_equal(found.parameters["w_out"].T, bare["head.weight"])
    np.testing.assert_array_equal(imported(data, lstm="a.enc")[0].parameters["w_out"].T, named["head.weight"])


def test_two_lstms_of_one_name_are_refused(imported, rng):
    data = archive({"a": weights(rng, lstm="b.lstm."), "a.b": weights(rng)})
    for lstm in ("", "a.b.lstm"):
        with pytest.raises(ConfigError, match=r"--lstm NAME: 'a\.b\.lstm', 'a\.b\.lstm'"):
            imported(data, lstm=lstm)


def cut(tensors, factor):
    """The weights of another kind of cell: with this share of the rows."""
    return {
        key: value[: int(len(value) * factor)] if key.startswith("lstm.") else value for key, value in tensors.items()
    }


RNG = np.random.default_rng(0)
GOOD = weights(RNG)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (cut(GOOD, 1 / 2), "another kind of cell"),
        (GOOD | {"lstm.weight_ih_l0_reverse": GOOD["lstm.weight_ih_l0"]}, "bidirectional"),
        (GOOD | {"lstm.weight_hr_l0": GOOD["lstm.weight_hh_l0"][:2]}, "projections"),
        (GOOD | {"norm.weight": np.ones(4, "float32")}, r"it has 'norm.weight' \(4,\)"),
        (GOOD | {"lstm.weight_hh_l1": np.ones((16, 5), "float32")}, "'weight_hh_l1' has the shape"),
        (GOOD | {"lstm.weight_hh_l7": np.ones((16, 4), "float32")}, "'bias_hh_l2' is missing"),
        (GOOD | {"lstm.bias_hr_l1": np.ones(16, "float32")}, "projections"),
        ({key: value for key, value in GOOD.items() if key != "lstm.weight_ih_l1"}, "'weight_ih_l1' is missing"),
        ({key: value for key, value in GOOD.items() if key != "lstm.weight_hh_l0"}, "no matrix weight_hh_l0"),
        ({key: value for key, value in GOOD.items() if not key.startswith("head")}, "no linear layer"),
        ({key: value for key, value in GOOD.items() if not key.startswith("emb")}, "no embedding"),
        ({"x": np.ones((3, 3), "float32")}, "no LSTM, GRU or RNN of PyTorch"),
        ({"lstm": {}}, "no LSTM, GRU or RNN of PyTorch"),
        ([1, 2], "no LSTM, GRU or RNN of PyTorch"),
        (None, "no LSTM, GRU or RNN of PyTorch"),
        (
            GOOD | {"head.weight": np.full((5, 4), np.inf, "float32")},
            "model.pt: the tensor head.weight has values that are not",
        ),
    ],
)
def test_other_networks_are_refused_in_one_line_that_says_what_they_are(imported, tmp_path, tensors, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        imported(archive(tensors))[0].save(tmp_path / "out.safetensors")
    assert str(caught.value).isprintable()


# Characters


@pytest.mark.parametrize(
    "beside",
    [
        {"tokens": tuple("edcba")},
        {"chars": list("edcba")},
        {"stoi": {"e": 0, "c": 2, "b": 3, "a": 4, "d": 1}},
        {"deep": {"itos": dict(enumerate("edcba"))}},
        {
            "char_to_ix": dict(zip("edcba", range(5), strict=True)),
            "ix_to_char": dict(enumerate("edcba")),
            "n": list("xy"),
        },
    ],
)
def test_characters_are_found_in_the_file(imported, rng, beside):
    checkpoint, _ = imported(archive({"state": weights(rng)} | beside), symbols=None)
    assert checkpoint.vocabulary.to_list() == [*"edcba"]


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({}, "5 characters, and it does not say which"),
        ({"chars": list("abcdef")}, "does not say which"),
        ({"stoi": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}}, "does not say which"),
        ({"chars": list("abcde"), "other": list("abced")}, "several vocabularies that differ: 'chars', 'other'"),
        ({"itos": ["<pad>", *"abcd"]}, "'itos' has '<pad>' for id 0, which is not one character"),
        ({"chars": list("aabcd")}, "occurs twice"),
    ],
)
def test_characters_that_are_not_clear_are_asked_for(imported, rng, beside, message):
    with pytest.raises(CharRNNError, match=message):
        imported(archive({"state": weights(rng)} | beside), symbols=None)


def test_characters_in_the_metadata_of_a_safetensors_file(imported, rng):
    data = safetensors.numpy.save(weights(rng), {"vocab": json.dumps(list("edcba")), "format": "pt", "x": "{"})
    assert imported(data, symbols=None)[0].vocabulary.to_list() == [*"edcba"]


@pytest.mark.parametrize(
    "value",
    [
        list("edcba"),
        dict(zip("edcba", range(5), strict=True)),
        dict(zip("01234", "edcba", strict=True)),
        {"idx": {"token_to_idx": dict(zip("edcba", range(5), strict=True))}, "n": 5},
    ],
)
def test_characters_in_a_file_of_json(imported, rng, tmp_path, value):
    path = tmp_path / "symbols.json"
    path.write_text(json.dumps(value))
    assert imported(archive(weights(rng)), symbols=path)[0].vocabulary.to_list() == [*"edcba"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["a", "b"]', "2 symbols, and the model has 5"),
        ('["a", "b", "c", "d", "ee"]', "2 characters instead of one"),
        ('{"x": 1}', "no list of 5 characters"),
        ("nonsense", "not JSON"),
        ("[" * 9000, "not JSON"),
        ("5", "no list of 5 characters"),
    ],
)
def test_files_of_json_that_do_not_fit(imported, rng, tmp_path, text, message):
    path = tmp_path / "symbols.json"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=message) as caught:
        imported(archive(weights(rng)), symbols=path)
    assert str(caught.value).startswith(str(path))


def test_bytes_in_a_file_of_json(imported, rng, tmp_path):
    path = tmp_path / "symbols.json"
    path.write_text("[5, 4, 3, 2, 255]")
    assert imported(archive(weights(rng)), symbols=path)[0].vocabulary.to_list() == [5, 4, 3, 2, 255]


# Files that lie


def test_nothing_of_a_pickle_is_called(imported, rng, tmp_path):
    """What Python's own pickle would do, and what is done: nothing."""
    mark = tmp_path / "mark"
    for evil in (
        call(name("os", "system"), f"touch {mark}"),
        call(name("builtins", "eval"), f"open({str(mark)!r}, 'w')"),
        built(call(name("pathlib", "Path"), str(mark)), {"x": 1}),
    ):
        data = archive({"evil": evil, "state": weights(rng)})
        assert imported(data)[0].model.hidden == 4
        with pytest.raises(CheckpointError, match="an object of the class"):
            imported(archive(evil))
    assert not mark.exists()


def refused(imported, data):
    with pytest.raises(CharRNNError) as caught:
        imported(data)
    assert str(caught.value).isprintable() and len(str(caught.value)) < LONGEST_MESSAGE
    return str(caught.value)


@pytest.mark.parametrize(
    "lies",
    [
        {"count": 2**61},
        {"count": 10**30},
        {"count": -1},
        {"count": 5},
        {"shape": (2**40, 2**40)},
        {"shape": (10**4000,)},
        {"shape": (2**31, 4), "strides": (0, 0)},
        {"shape": (-5, 4)},
        {"offset": 3},
        {"offset": -1},
        {"offset": 2**62},
        {"strides": (2**40, 1)},
        {"strides": (1,)},
        {"shape": (5, 4) * 9, "strides": (4, 1) * 9},
        {"shape": 5},
        {"key": "../../etc/passwd"},
        {"key": 7},
    ],
    ids=lambda lies: str(lies)[:40],
)
@pytest.mark.parametrize("form", ["archive", "old"])
def test_tensors_that_lie_are_refused_before_memory_is_asked_for(imported, monkeypatch, form, lies):
    class Lying(pytorch_files.Writer):
        def tensor(self, array, **_):
            return super().tensor(array, **(lies if array.shape == (5, 4) else {}))

    monkeypatch.setattr(pytorch_files, "Writer", Lying)
    data = FORMS[form](GOOD)
    monkeypatch.undo()
    tracemalloc.start()
    try:
        refused(imported, data)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["archive", "old"])
def test_the_stride_of_an_axis_of_size_1_can_be_any_number(imported, rng, monkeypatch, form):
    class Lying(pytorch_files.Writer):
        def tensor(self, array, **_):
            strides = (step // array.itemsize for step in array.strides)
            far = tuple(step if size > 1 else 2**62 for size, step in zip(array.shape, strides, strict=True))
            return super().tensor(array, strides=far)

    tensors = weights(rng, hidden=1)
    expected = imported(FORMS[form](tensors))[0].parameters
    monkeypatch.setattr(pytorch_files, "Writer", Lying)
    found = imported(FORMS[form](tensors))[0].parameters
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Raw(b"\x85" * 5), "damaged"),
        (Raw(b"0"), "damaged"),
        (Raw(b"h\x05"), "damaged"),
        (Raw(b"\x94"), "damaged"),
        (Raw(b"u"), "damaged"),
        (Raw(b"(i__main__\nX\n"), "the instruction INST"),
        (Raw(b"\x82\x01"), "the instruction EXT1"),
        (Raw(b"}(]K\x01u"), "the key"),
        (Raw(b"})K\x01s"), "the key"),
        (Raw(b"(" * 100_000 + b"l" * 100_000), "no LSTM"),
        (Raw(b"N\x85" + b"\x85" * 100_000), "no LSTM"),
        (Raw(b"S'\\h'\n"), "no LSTM"),
        (Raw(b"\x8b\xff\xff\xff\x7f"), "damaged"),
        (Raw(b"X\xff\xff\xff\xff"), "damaged"),
        (Raw(b"]q\x00h\x00a"), "no LSTM"),
        (Raw(b"N0" * 510_000 + b"N"), "more than 1,000,000 instructions"),
        (call(ORDERED, [[1, 2], [3]]), "damaged"),
        (call(ORDERED, 5), "damaged"),
        (call(5, 5), "an object of the class '\\?'"),
        (name_from_stack(nested(100_000), "x"), "the name of a class"),
        (name_from_stack("x", doubled(100)), "the name of a class"),
        (name_from_stack("x", Raw(b"C\x01x")), "the name of a class"),
        (call(name_from_stack("a.b", "C")), "an object of the class 'a.b.C'"),
    ],
)
def test_pickles_that_are_strange_or_too_much(imported, value, message):
    assert message.replace("\\", "") in refused(imported, archive(value))


def test_a_pickle_that_doubles_itself_is_gone_through_once(imported):
    doubled = b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (k, k, k + 1) for k in range(100))
    assert "no LSTM" in refused(imported, archive(Raw(doubled)))
    modules = b"".join(
        instructions_of_module({f"{side}": Raw(b"h%c" % (k + 100)) for side in "ab"}) + b"q%c0" % (k + 101)
        for k in range(60)
    )
    data = archive(Raw(instructions_of_module({}) + b"q%c0" % 100 + modules + b"h%c" % 160))
    assert "an object of the class 'torch.nn.Module'" in refused(imported, data)


def modules_that_share_a_module():
    shared = instructions_of_module({}, dict.fromkeys(map(str, range(30_000))))
    return (
        shared
        + b"q\x000"
        + pytorch_files.instructions([Raw(instructions_of_module({"a": Raw(b"h\x00")})) for _ in range(40)])
    )


def modules_that_share_a_name():
    shared, again = pytorch_files.instructions("x" * 2**20), Raw(b"h\x00")
    inner = {str(k): Raw(instructions_of_module({}, {again: None})) for k in range(400)}
    return shared + b"q\x000" + instructions_of_module(inner)


@pytest.mark.parametrize("make", [modules_that_share_a_module, modules_that_share_a_name])
def test_names_of_parameters_do_not_multiply(imported, make):
    data = archive(Raw(make()))
    tracemalloc.start()
    try:
        assert "the names of its parameters take more than" in refused(imported, data)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(data) + 200 * 10**6
    finally:
        tracemalloc.stop()


def instructions_of_module(inner, parameters=()):
    module = built(call(name("torch.nn", "Module")), {"_modules": inner, "_parameters": dict(parameters)})
    return pytorch_files.instructions(module)


def empty_safetensors(*shapes, beside=safetensors.numpy.save({})):  # noqa: B008
    """The file ``beside`` with further tensors, x and others, of these shapes and without bytes."""
    length = int.from_bytes(beside[:8], "little")
    header = json.loads(beside[8 : 8 + length])
    for k, shape in enumerate(shapes):
        header["x" + "y" * 200 * k] = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + beside[8 + length :]


def zipped(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for inner, content in members:
            made.writestr(inner, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped(("hello.txt", b"hello")), "not one that torch.save wrote"),
        (zipped(("a/data.pkl", b""), ("b/data.pkl", b"")), "not one that torch.save wrote"),
        (zipped(("a/data.pkl", b"N.")), "no LSTM"),
        (zipped(("a/data.pkl", b"")), "damaged"),
        (zipped(("a/data.pkl", b"N."), ("a/constants.pkl", b"")), "TorchScript"),
        (zipped(("a/data.pkl", b"N."), ("a/byteorder", b"big")), "big-endian"),
        (archive(GOOD, compression=zipfile.ZIP_DEFLATED), "packed"),
        (archive(GOOD)[:-60], "damaged"),
        (archive(GOOD)[:2000], "damaged"),
        (old(GOOD, machine={"little_endian": False}), "big-endian"),
        (old(GOOD, machine=5), "of a kind that is not known"),
        (old(GOOD, keys=["0"]), "no storage"),
        (old(GOOD, keys=["0", "zero"]), "of a kind that is not known"),
        (old(GOOD, keys=["0"] * 9), "damaged"),
        (old(GOOD)[:-1], "damaged"),
        (old(GOOD)[:40], "damaged"),
        (pickle.dumps([1, 2]), "a pickle, but not one that torch.save wrote"),
        (b"", "not a file of PyTorch"),
        (b"To be, or not to be", "not a file of PyTorch"),
        (safetensors.numpy.save(GOOD)[:-3], "damaged"),
        (safetensors.numpy.save({"x": np.zeros(3, np.complex64)}), "of a kind that is not known"),
        (empty_safetensors([0] + [1] * 16), "the tensor 'x' has 17 dimensions"),
        (empty_safetensors([0] + [1] * 15), "no LSTM"),
        (empty_safetensors(*[[0] + [2**62] * 15] * 9, beside=safetensors.numpy.save(GOOD)), "and 5 more, which"),
        (empty_safetensors([0, 2**63]), "the tensor 'x' has the shape [0, 9223372036854775808]"),
    ],
)
def test_files_that_are_damaged_or_of_another_kind(imported, data, message):
    assert message in refused(imported, data)


@pytest.mark.parametrize("shape", [(), (3,), (5, 4), (2, 3, 4, 5)])
def test_strides_of_numbers_that_follow_one_another(shape):
    assert contiguous(shape) == np.empty(shape, "uint8").strides


def test_every_flipped_byte_of_an_archive_is_refused_or_harmless(imported):
    data = bytearray(archive(state_dict(RNG, hidden=1, layers=1, embedding=2)))
    for place in range(0, len(data), 13):
        data[place] ^= 0x21
        with contextlib.suppress(CharRNNError):
            imported(bytes(data))
        data[place] ^= 0x21


def test_a_checkpoint_of_charrnn_needs_no_import(imported, healthy):
    assert "a checkpoint of charrnn already" in refused(imported, healthy)


def test_storages_that_tensors_share_are_read(imported, rng):
    """On a graphics card PyTorch keeps the weights of an LSTM in one storage."""
    tensors = weights(rng)
    base = np.concatenate([value.ravel() for value in tensors.values()])
    ends = np.cumsum([value.size for value in tensors.values()])
    views = {
        key: base[end - value.size : end].reshape(value.shape)
        for (key, value), end in zip(tensors.items(), ends, strict=True)
    }
    for form in (archive, old):
        checkpoint, _ = imported(form(views))
        np.testing.assert_array_equal(checkpoint.parameters["w_out"].T, tensors["head.weight"])


@pytest.mark.parametrize(
    ("cell", "symbols"),
    [("lstm", "\né🦊a"), ("capped-lstm", bytes([7, 200, 65])), ("coupled-lstm", "abc"), ("gru", "ab"), ("rnn", "ba")],
)
def test_what_charrnn_exports_comes_back_to_the_bit(imported, rng, cell, symbols):
    """A state dict with a tensor ``vocabulary``; the name of the module says what cell it is."""
    model = ModelConfig(len(symbols), 6, 2, 3, cell)
    parameters = {key: rng.normal(size=shape).astype("float32") for key, shape in parameter_shapes(model).items()}
    tensors = {"vocabulary": np.array([*symbols], "uint8") if isinstance(symbols, bytes) else code_points(symbols)}
    for key, value in parameters.items():
        tensors |= {each: part.copy() for each, part in to_torch(key, value, cell_of(model)).items()}
    found, _ = imported(archive(tensors), symbols=None)
    assert (found.model, found.vocabulary.to_list()) == (model, [*symbols])
    for key, value in parameters.items():
        np.testing.assert_array_equal(found.parameters[key], value)


def code_points(text):
    return np.array([*map(ord, text)], "int64")


GOLDENS = Path(__file__).parents[1] / "goldens" / "pytorch" / "files"  # made by make_goldens.py


@pytest.mark.parametrize("name", ["archive.pt", "old.pt"])
def test_files_that_pytorch_wrote(name):
    checkpoint, about = import_model(GOLDENS / name)
    assert about == "PyTorch, embedding 'embedding.weight', LSTM 'lstm', head 'head.weight'"
    assert checkpoint.vocabulary.to_list() == [*"edcba"]
    expected = safetensors.numpy.load_file(GOLDENS / "expected.safetensors")
    found = found_of(checkpoint, expected["ids"])
    np.testing.assert_allclose(found, expected["log_probabilities"], atol=1e-5, rtol=0)


# PyTorch itself


def module_of(torch, sizes, tie=False, cell="LSTM"):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            vocabulary, hidden, layers, embedding = sizes
            self.encoder = torch.nn.Embedding(vocabulary, embedding) if embedding else None
            self.rnn = getattr(torch.nn, cell)(embedding or vocabulary, hidden, layers, dropout=0.3, batch_first=True)
            self.drop = torch.nn.Dropout(0.5)
            self.decoder = torch.nn.Linear(hidden, vocabulary)
            if tie:
                self.decoder.weight = self.encoder.weight

        def forward(self, ids):
            one_hot = torch.nn.functional.one_hot
            x = self.encoder(ids) if self.encoder else one_hot(ids, sizes[0]).to(self.decoder.weight.dtype)
            return self.decoder(self.drop(self.rnn(x)[0])).log_softmax(-1)

    torch.manual_seed(5)
    model = Model().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, {"LSTM": 0.4, "GRU": 0.2, "RNN": 0.1}[cell])  # more would be chaotic
    return model


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch itself writes and computes")


@pytest.mark.parametrize(("sizes", "tie"), [((5, 32, 2, None), False), ((5, 24, 3, 8), False), ((5, 16, 2, 16), True)])
@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
def test_an_imported_model_computes_what_pytorch_computes(imported, torch, tmp_path, rng, sizes, tie, form, cell):
    model = module_of(torch, sizes, tie, cell)
    path = tmp_path / "theirs"
    if form == "safetensors":
        pytest.importorskip("safetensors.torch").save_model(model, str(path))
    else:
        optimizer = torch.optim.Adam(model.parameters())
        content = {
            "epoch": 3,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "chars": tuple(SYMBOLS),
        }
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    checkpoint, about = imported(path.read_bytes(), symbols=Vocabulary(SYMBOLS) if form == "safetensors" else None)
    assert f"{cell} 'rnn'" in about
    assert ("tied" in about) == (tie and form == "safetensors")  # the others have the matrix twice
    ids = rng.integers(5, size=5000)
    with torch.no_grad():
        theirs = model.double()(torch.tensor(ids)[None])[0].numpy()
    np.testing.assert_allclose(found_of(checkpoint, ids), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_pytorchs_other_types(imported, torch, tmp_path, dtype):
    model = module_of(torch, (5, 8, 2, None)).to(getattr(torch, dtype))
    torch.save(model.state_dict(), tmp_path / "theirs")
    checkpoint, about = imported((tmp_path / "theirs").read_bytes())
    assert f"{dtype} became float32" in about
    np.testing.assert_array_equal(checkpoint.parameters["w_out"].T, model.decoder.weight.detach().float().numpy())


def test_a_whole_module_of_pytorch_is_read_without_its_class(imported, torch, tmp_path, monkeypatch):
    import sys
    import types

    model = module_of(torch, (5, 8, 2, 3))
    holder = types.ModuleType("somebodys_module")
    type(model).__module__, type(model).__qualname__ = holder.__name__, "Model"
    holder.Model = type(model)
    model.chars = list("edcba")
    monkeypatch.setitem(sys.modules, holder.__name__, holder)
    for new in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older form wants the source of the class
            torch.save(model, tmp_path / "theirs", _use_new_zipfile_serialization=new)
        monkeypatch.delitem(sys.modules, holder.__name__, raising=False)
        checkpoint, _ = imported((tmp_path / "theirs").read_bytes(), symbols=None)
        assert checkpoint.vocabulary.to_list() == [*"edcba"]
        np.testing.assert_array_equal(checkpoint.parameters["w_out"].T, model.decoder.weight.detach().numpy())
        monkeypatch.setitem(sys.modules, holder.__name__, holder)
    assert isinstance(checkpoint, Checkpoint)


def test_our_writer_of_archives_is_understood_by_pytorch(torch, rng):
    tensors = weights(rng)
    for form in (archive, old):
        found = torch.load(
            io.BytesIO(form({"state": tensors, "n": [1, 2.5, None, True], "s": ("é",)})), weights_only=True
        )
        assert found["n"] == [1, 2.5, None, True] and found["s"] == ("é",)
        for key, value in tensors.items():
            np.testing.assert_array_equal(found["state"][key].numpy(), value)
        assert pt_file.read(io.BytesIO(form({"n": [1, 2.5, None, True]}))) == {"n": [1, 2.5, None, True]}


def exported_transformer(tmp_path, **changes):
    """An exported Transformer's tensors by name, and its checkpoint; ``changes`` has other tensors, None for none."""
    made = foreign.checkpoint(foreign.MODELS["transformer of one layer with odd heads"])
    tensors = to_pytorch.tensors(made)
    tensors |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in tensors.items() if value is not None}, made


def test_an_exported_transformer_comes_back(tmp_path):
    tensors, made = exported_transformer(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save(tensors))
    found, about = import_model(path)
    assert found.model == made.model
    assert found.vocabulary == made.vocabulary
    assert about == "PyTorch, Transformer, 3 heads, context 7"
    assert found.parameters.keys() == made.parameters.keys()
    assert all(np.array_equal(found.parameters[key], value) for key, value in made.parameters.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": None}, "without the number 'heads'"),
        ({"context": np.array(7.0)}, "without the number 'context'"),
        ({"heads": np.array([3, 3])}, "without the number 'heads'"),
        ({"heads": np.array(4)}, "4 heads do not divide 15 columns"),
        ({"heads": np.array(0)}, "heads"),
        ({"context": np.array(-(2**63))}, "context"),
        ({"embedding__weight": None}, "'embedding.weight' is missing"),
        ({"head__weight": None}, "no linear layer"),
        ({"head__weight": np.zeros(3, np.float32)}, "the head is not a matrix"),
        ({"transformer__g_out": None}, "'transformer.g_out' is missing"),
        ({"transformer__w_up_l0": np.zeros((5, 15), np.float32)}, "'transformer.w_up_l0' has the shape (5, 15)"),
        ({"transformer__w_up_l1": np.zeros((5, 15), np.float32)}, "_l1' is missing"),
        ({"transformer__bias": np.zeros(5, np.float32)}, "'transformer.bias' is one too many"),
        ({"lora": np.zeros(5, np.float32)}, "'lora' is one too many"),
    ],
)
def test_another_transformer_is_refused_in_one_line(tmp_path, changes, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save(exported_transformer(tmp_path, **changes)[0]))
    with pytest.raises(CharRNNError) as caught:
        import_model(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < LONGEST_MESSAGE


def test_names_that_are_given_for_a_transformer_are_heeded(tmp_path):
    """A tensor that is to be ignored is left out; a head or embedding cannot be chosen, because there is only one."""
    tensors, made = exported_transformer(tmp_path, lora=np.zeros(5, np.float32))
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save(tensors))
    found, _ = import_model(path, names=Names(ignored=("lora",)))
    assert found.model == made.model
    with pytest.raises(
        ConfigError, match=r"model.safetensors: there is no tensor .nobody.: there are 'embedding.weight'"
    ):
        import_model(path, names=Names(ignored=("nobody",)))
    for names in (Names(head="lora"), Names(embedding="none")):
        with pytest.raises(ConfigError, match="leave --embedding and --head out"):
            import_model(path, names=names)
