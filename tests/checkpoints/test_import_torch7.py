"""Checkpoints of char-rnn and torch-rnn: their numbers, their characters, and files that lie."""

import struct
import tracemalloc

import numpy as np
import pytest
from reference import sigmoid
from torch7_files import Function, Object, Raw, char_rnn, dumps, torch_rnn

from charrnn.checkpoints.foreign import t7_file
from charrnn.checkpoints.foreign.importing import import_model
from charrnn.checkpoints.foreign.t7_file import Table, at, items
from charrnn.checkpoints.foreign.tensors import Tensor
from charrnn.errors import CharRNNError, CheckpointError, ConfigError
from charrnn.model import Model

LENGTH = 400  # characters of a text that is long enough for the state to forget its beginning


@pytest.fixture
def imported(tmp_path):
    """A function: the checkpoint in the bytes of a file, and the line about it."""

    def imported(data):
        path = tmp_path / "model.t7"
        path.write_bytes(data)
        return import_model(path)

    return imported


@pytest.fixture
def refusal(imported):
    """A function: the one short line that refuses the bytes of a file."""

    def refusal(data):
        with pytest.raises(CheckpointError) as caught:
            imported(data)
        message = str(caught.value)
        assert message.isprintable() and len(message) < 600, message
        return message

    return refusal


def log_softmax(logits):
    logits = logits - logits.max()
    return logits - np.log(np.exp(logits).sum())


def lua_lstm(maps, inputs):
    """The equations of char-rnn's model/LSTM.lua in float64: log-probabilities (N, V) after each of the inputs (N, D).

    ``maps`` has (weight, bias) of i2h and h2h of each layer, then of the decoder.
    """
    *pairs, (decoder, decoder_bias) = [(weight.astype(float), bias.astype(float)) for weight, bias in maps]
    layers = list(zip(pairs[::2], pairs[1::2], strict=True))
    hidden = decoder.shape[1]
    c, h = np.zeros((2, len(layers), hidden))
    found = []
    for x in inputs:
        for k, ((i2h, i2h_bias), (h2h, h2h_bias)) in enumerate(layers):
            all_input_sums = i2h @ x + i2h_bias + h2h @ h[k] + h2h_bias
            n1, n2, n3, n4 = all_input_sums.reshape(4, hidden)
            in_gate, forget_gate, out_gate, in_transform = sigmoid(n1), sigmoid(n2), sigmoid(n3), np.tanh(n4)
            c[k] = forget_gate * c[k] + in_gate * in_transform
            h[k] = out_gate * np.tanh(c[k])
            x = h[k]
        found.append(log_softmax(decoder @ x + decoder_bias))
    return np.array(found)


def random_text(symbols, rng):
    return [symbols[place] for place in rng.integers(len(symbols), size=LENGTH)]


@pytest.mark.parametrize(
    ("layers", "dropout", "dtype"), [(1, 0.0, "float64"), (2, 0.0, "float32"), (3, 0.5, "float64")]
)
def test_char_rnn_computes_what_its_equations_say(imported, rng, layers, dropout, dtype):
    symbols = b"e tao\n"
    data, maps = char_rnn(symbols, hidden=9, layers=layers, dtype=dtype, dropout=dropout)
    checkpoint, about = imported(data)
    assert checkpoint.vocabulary.to_list() == [*symbols.decode()]
    assert about == ("char-rnn, float64 became float32" if dtype == "float64" else "char-rnn")
    assert (checkpoint.imported, checkpoint.model.layers) == ("model.t7 (char-rnn)", layers)
    text = random_text([*range(len(symbols))], rng)
    found = Model.from_checkpoint(checkpoint, 1).activations("".join(chr(symbols[i]) for i in text))[
        "log_probabilities"
    ]
    np.testing.assert_allclose(found, lua_lstm(maps, np.eye(len(symbols))[text]), atol=1e-5, rtol=0)


def test_torch_rnn_computes_what_its_equations_say(imported, rng):
    symbols = "éa🦊 \n"
    data, (table, weights) = torch_rnn(symbols, hidden=7, layers=2, embedding=3)
    checkpoint, about = imported(data)
    assert (about, checkpoint.vocabulary.to_list(), checkpoint.model.embedding) == ("torch-rnn", [*symbols], 3)
    maps, width = [], 3
    for weight, bias in weights[:-1]:  # rows of the input's weights, then rows of the weights of h
        maps += [(weight[:width].T, bias), (weight[width:].T, np.zeros_like(bias))]
        width = 7
    text = random_text(range(len(symbols)), rng)
    found = Model.from_checkpoint(checkpoint, 1).activations("".join(symbols[i] for i in text))["log_probabilities"]
    np.testing.assert_allclose(found, lua_lstm([*maps, weights[-1]], table[text]), atol=1e-5, rtol=0)


def test_the_gates_are_in_another_order(imported):
    data, maps = char_rnn(hidden=3, layers=1)
    found = imported(data)[0].parameters["w_ih_l0"].T  # rows i, f, g, o
    i, f, o, g = np.split(maps[0][0].astype(np.float32), 4)
    np.testing.assert_array_equal(found, np.concatenate([i, f, g, o]))


def test_bytes_that_are_not_ascii_make_a_model_of_bytes(imported):
    assert imported(char_rnn("né".encode())[0])[0].vocabulary.to_list() == [110, 0xC3, 0xA9]
    found = imported(torch_rnn("abcd", tokens=["a", "[195]", "[169]", "["])[0])[0]
    assert found.vocabulary.to_list() == [97, 195, 169, 91]


def test_weights_of_a_graphics_card_are_read(imported):
    plain = char_rnn(dtype="float32")[0]
    cuda = plain.replace(b"\x11\0\0\0torch.FloatTensor", b"\x10\0\0\0torch.CudaTensor")
    cuda = cuda.replace(b"\x12\0\0\0torch.FloatStorage", b"\x11\0\0\0torch.CudaStorage")
    assert cuda != plain
    for name, value in imported(plain)[0].parameters.items():
        np.testing.assert_array_equal(imported(cuda)[0].parameters[name], value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (char_rnn(model="gru")[0], "'gru'"),
        (char_rnn(model="rnn")[0], "'rnn'"),
        (torch_rnn(model_type="rnn")[0], "'rnn'"),
        (torch_rnn(extra=[Object("nn.BatchNormalization", weight=np.ones(4))])[0], "BatchNormalization"),
        (char_rnn(b"aa", vocab={"a": 1})[0], "a model of 2 characters, and the vocabulary has 1"),
        (char_rnn(b"ab", vocab={"a": 1, "b": 3})[0], "not numbered from 1"),
        (char_rnn(b"ab", vocab={"word": 1, "b": 2})[0], "instead of one"),
        (char_rnn(b"ab", vocab={b"\xc3\xa9": 1, b"\xff": 2})[0], "neither bytes nor characters"),
        (char_rnn(protos={"rnn": Object("nn.gModule", forwardnodes=[])})[0], "not the LSTM of char-rnn"),
        (char_rnn(protos={"rnn": 3})[0], "not the LSTM of char-rnn"),
        (dumps({"vocab": {"a": 1}}), "not a checkpoint of char-rnn or torch-rnn"),
        (dumps([]), "not a checkpoint of char-rnn or torch-rnn"),
        (dumps(Object("nn.Linear", weight=np.eye(3))), "not a checkpoint of char-rnn or torch-rnn"),
        (b"4\n1\n3\nV 1\n", "in text form"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(imported, data, message):
    with pytest.raises(CharRNNError, match=message):
        imported(data)


def test_a_model_without_its_characters_asks_for_them(imported):
    with pytest.raises(ConfigError, match=r"4 characters, and it does not say which.*--vocabulary"):
        imported(char_rnn(vocab=None)[0])


# The format


def test_every_kind_of_value_is_read():
    shared = {"x": 1}
    numbers = np.arange(12, dtype="float32")
    value = {
        "nil": None,
        "number": -2.5,
        "yes": True,
        "no": False,
        "text": b"\0\xff",
        "list": [1, "two"],
        "twice": [shared, shared],
        "function": Function(b"\x1bLJ", {"up": shared}),
        "view": numbers.reshape(3, 4)[1:, ::2],
        "turned": numbers.reshape(3, 4).T,
        "empty": np.empty(0),
        "object": Object("my.Class", inner=Object("nn.Linear")),
        1.5: "a key",
    }
    found = t7_file.read(dumps(value))
    assert [at(found, name) for name in ("number", "yes", "no", "text", 1.5)] == [-2.5, True, False, "\0\xff", "a key"]
    assert "nil" in found.fields and at(found, "nil") is None
    assert items(at(found, "list")) == [1.0, "two"]
    assert at(found, "twice", 1) is at(found, "twice", 2) is not None
    assert at(found, "function").kind == "function"
    np.testing.assert_array_equal(at(found, "view").values(), value["view"])
    np.testing.assert_array_equal(at(found, "turned").to_float32(), value["turned"])
    assert at(found, "empty").values().shape == (0,)
    assert (at(found, "object").kind, at(found, "object", "inner").kind) == ("my.Class", "nn.Linear")


def test_a_table_may_hold_itself():
    table = {}
    table["me"] = table
    table[Raw(struct.pack("<ii", 3, 1))] = "itself"  # a reference as a key
    found = t7_file.read(dumps(table))
    assert at(found, "me") is found
    assert at(found, found) == "itself"


def test_nesting_is_bounded_and_does_not_need_pythons_stack(refusal):
    def nested(depth):
        levels = [struct.pack("<iiiid", 3, number, 1, 1, 1.0) for number in range(1, depth)]
        return b"".join([*levels, struct.pack("<iii", 3, depth, 0)])

    found = t7_file.read(nested(9_000))
    for _ in range(8_999):
        found = at(found, 1)
    assert found.fields == {}
    assert "nested 10,000 deep" in refusal(nested(500_000))


def storage(count, data=b""):
    """A tensor (3,) on a storage that says it has ``count`` numbers."""
    name, inner = b"torch.FloatTensor", b"torch.FloatStorage"
    head = struct.pack("<iii3si", 4, 1, 3, b"V 1", len(name)) + name + struct.pack("<iqqq", 1, 3, 1, 1)
    return head + struct.pack("<iii3si", 4, 2, 3, b"V 1", len(inner)) + inner + struct.pack("<q", count) + data


@pytest.mark.parametrize(
    "data",
    [
        storage(2**61),
        storage(2**40),
        storage(-1),
        storage(3, b"\0" * 11),
        struct.pack("<iii", 3, 1, 2**31 - 1),
        struct.pack("<iii", 3, 1, -1),
        struct.pack("<ii", 2, 2**31 - 1),
        struct.pack("<ii", 2, -5),
        struct.pack("<iiii", 3, 1, 1, 2) + struct.pack("<i", 2**30),
        struct.pack("<iii", 4, 1, 10**9),
        struct.pack("<iii", 3, 1, 1) + struct.pack("<i", 77),
    ],
)
def test_counts_that_lie_are_refused_before_memory_is_asked_for(data):
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match="damaged"):
            t7_file.read(data)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((3, 4), (4, 1), 2),
        ((2**40, 2**20), (0, 0), 1),
        ((0, 2**62), (0, 0), 1),
        ((13,), (1,), 1),
        ((3,), (-1,), 3),
        ((3,), (1,), 0),
        ((-3,), (1,), 1),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(shape, strides, offset):
    numbers = np.arange(12, dtype="float32")
    about = struct.pack(f"<i{len(shape)}q{len(shape)}qq", len(shape), *shape, *strides, offset)
    good = dumps(numbers)
    start = good.index(b"torch.FloatTensor") + len(b"torch.FloatTensor")
    found = t7_file.read(good[:start] + about + good[start + 4 + 3 * 8 :])
    with pytest.raises(CheckpointError, match="a tensor of the shape"):
        found.values()


def test_a_file_that_is_cut_short_anywhere_is_refused(refusal):
    data = char_rnn(b"ab", hidden=1, layers=1, dtype="float32")[0]
    for length in range(8, len(data), 7):
        assert "damaged" in refusal(data[:length])


def test_weights_that_many_tensors_share_do_not_multiply(refusal):
    shared = np.ones((16, 32), "float32")
    layers = [Object("nn.LSTM", weight=shared, bias=np.ones(32, "float32")) for _ in range(60)]
    ends = (
        Object("nn.LookupTable", weight=np.ones((4, 8), "float32")),
        Object("nn.Linear", weight=np.ones((4, 8), "float32")),
    )
    network = Object("nn.Sequential", modules=[ends[0], *layers, ends[1]])
    assert "weights in" in refusal(torch_rnn("abcd", net=network)[0])


def same(ours, theirs, seen):
    """Compare a value with what torchfile made of it: everything in tables, each table once."""
    if isinstance(ours, Table):
        if id(ours) in seen:
            return
        seen.add(id(ours))
        if ours.kind == "function":
            assert theirs.dumped
            return
        if ours.kind:
            assert ours.kind == theirs._typename.decode()
            theirs = theirs._obj
        names = {key.encode("latin-1") if isinstance(key, str) else key: key for key in ours.fields}
        assert len(names) == len(theirs)
        for key, value in theirs.items():
            same(ours.fields[names[key]], value, seen)
    elif isinstance(ours, Tensor):
        assert ours.size == theirs.size
        np.testing.assert_array_equal(ours.values().ravel(), theirs.ravel())
    else:
        assert (ours.encode("latin-1") if isinstance(ours, str) else ours) == theirs


@pytest.mark.parametrize("make", [char_rnn, torch_rnn])
def test_an_independent_reader_finds_the_same(tmp_path, make):
    torchfile = pytest.importorskip("torchfile", reason="it reads files of Torch 7, too")
    (tmp_path / "model.t7").write_bytes(make()[0])
    with (tmp_path / "model.t7").open("rb") as file:
        theirs = torchfile.T7Reader(file, use_list_heuristic=False, use_int_heuristic=False).read_obj()
    seen = set()
    same(t7_file.read(make()[0]), theirs, seen)
    assert len(seen) > 10
