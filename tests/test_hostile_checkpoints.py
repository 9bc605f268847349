"""Checkpoints that are damaged, foreign or forged: one line each, before memory is asked for."""

import json
import os
import re
import shutil
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from command_line import invoke
from forgeries import (
    changed,
    description_of,
    forged,
    header_of,
    header_size,
    load,
    make,
    rewritten,
    tensor,
    with_header,
    without,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn import strict_json, tensor_file
from charrnn.checkpoint import Checkpoint
from charrnn.errors import CharRNNError, CheckpointError, brief
from charrnn.text import sources


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = tmp_path_factory.mktemp("healthy") / "a.safetensors"
    make().save(path)
    return path.read_bytes()


def refusal(data):
    """The line that refuses ``data``; it is short, whatever they are."""
    with pytest.raises(CharRNNError) as caught:
        load(data)
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400, message
    return message


# Damage


def test_truncation_at_every_length_of_the_header_and_through_the_body(healthy):
    header = header_size(healthy)
    for length in [*range(header + 1), *range(header, len(healthy), 41), len(healthy) - 1]:
        refusal(healthy[:length])
    refusal(healthy + b"\0")
    refusal(healthy + b" ")


def test_every_flipped_byte_is_noticed(healthy):
    rng = np.random.default_rng(5)
    header, damaged = header_size(healthy), bytearray(healthy)
    for place in [*range(header), *range(header, len(healthy), 17)]:
        # The case of a letter, and whatever else: blanks that become tabs are noticed too.
        for difference in (0x20, int(rng.integers(1, 256))):
            damaged[place] ^= difference
            refusal(damaged)
            damaged[place] ^= difference
    assert bytes(damaged) == healthy


def test_a_padding_of_other_blanks_is_noticed(healthy):
    text = json.dumps(header_of(healthy)).encode()
    load(with_header(healthy, text + b"  "))
    for blank in (b"\t", b"\n", b"\0", b" \t "):
        assert "header" in refusal(with_header(healthy, text + blank))


# Other files


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a checkpoint"),
        (b"To be, or not to be" * 10, "not a checkpoint"),
        ((2**60).to_bytes(8, "little") + b"{}", "that is too long"),
        (b"\xff" * 8 + b"{}", "that is too long"),
        (bytes(8), "header"),
        ((2).to_bytes(8, "little") + b"{}", "not one that charrnn wrote"),
        ((2).to_bytes(8, "little") + b"[]", "header"),
        ((4).to_bytes(8, "little") + b"null", "header"),
        (safetensors.numpy.save({"x": np.zeros(3, np.float32)}), "not one that charrnn wrote"),
        (safetensors.numpy.save({"x": np.zeros(3, np.int8)}, {"format": "pt"}), "not one that charrnn wrote"),
        (with_header(bytes(8), {"__metadata__": {"charrnn": "hello", "sha256": ""}}), "cannot be read"),
        (with_header(bytes(8), {"__metadata__": {"charrnn": '{"format": 1}', "sha256": ""}}), "has no config"),
    ],
)
def test_other_files_are_not_checkpoints(data, message):
    assert message in refusal(data)


# Headers that lie


def entry(dtype="F32", shape=(7,), offsets=(0, 28)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (entry(shape=[2**50], offsets=[0, 2**52]), "not where it must be|shape"),
        (entry(shape=[2**40, 2**40, 2**40]), "not where it must be"),
        (entry(shape=[2**63] * 100_000), "impossible shape"),
        (entry(shape=[-7]), "impossible shape"),
        (entry(shape=[0]), "impossible shape"),
        (entry(shape=[True]), "impossible shape"),
        (entry(shape=[7.0]), "impossible shape"),
        (entry(shape=[]), "impossible shape"),
        (entry(shape=7), "impossible shape"),
        (entry(shape={"7": 7}), "impossible shape"),
        (entry(offsets=[28, 0]), "not where it must be"),
        (entry(offsets=[-28, 0]), "impossible data_offsets"),
        (entry(offsets=[0, 28, 56]), "impossible data_offsets"),
        (entry(offsets=[0, 2**63 - 1]), "not where it must be"),
        (entry(offsets=None), "impossible data_offsets"),
        (entry(dtype="F64"), "F64"),
        (entry(dtype="BF16"), "BF16"),
        (entry(dtype=["F32"]), "F32"),
        (entry(dtype="x" * 10**6), "not float32"),
        ({**entry(), "more": 1}, "the entry"),
        ({}, "the entry"),
        (None, "the entry"),
        ([], "the entry"),
    ],
)
def test_a_tensor_that_lies_is_refused_before_memory_is_asked_for(healthy, lie, message):
    data = with_header(healthy, header_of(healthy) | {"head.bias": lie})
    tracemalloc.start()
    try:
        assert re.search(message, refusal(data))
        assert tracemalloc.get_traced_memory()[1] < 4e6 + 30 * header_size(data)
    finally:
        tracemalloc.stop()


def test_tensors_that_overlap_or_leave_holes_are_refused(healthy):
    header = header_of(healthy)
    end = max(each["data_offsets"][1] for name, each in header.items() if name != "__metadata__")
    assert "not where" in refusal(with_header(healthy, header | {"x": entry()}))
    assert "cut short" in refusal(with_header(healthy, header | {"x": entry(offsets=[end, end + 28])}))
    assert "cut short" in refusal(healthy + bytes(28))
    assert "not where" in refusal(with_header(healthy, header | {"x": entry(offsets=[end + 4, end + 32])}) + bytes(32))
    more = with_header(healthy, header | {"x": entry(offsets=[end, end + 28])}) + bytes(28)
    assert "a tensor too many: 'x'" in refusal(more)


def test_keys_that_come_twice_are_refused(healthy):
    text = json.dumps(header_of(healthy)).encode()
    twice = text[:-1] + b', "head.bias": ' + json.dumps(entry()).encode() + b"}"
    assert "'head.bias' comes twice" in refusal(with_header(healthy, twice))
    description = json.dumps(description_of(healthy))
    assert "'format' comes twice" in refusal(forged(healthy, description[:-1] + ', "format": 1}'))
    inner = description.replace('"hidden": 5', '"hidden": 5, "hidden": 6', 1)
    assert "'hidden' comes twice" in refusal(forged(healthy, inner))


@pytest.mark.parametrize("metadata", [None, [], "x", {"charrnn": 1}, {"charrnn": None}, {"charrnn": {}, "sha256": 1}])
def test_metadata_that_are_not_strings_are_refused(healthy, metadata):
    assert "metadata" in refusal(with_header(healthy, header_of(healthy) | {"__metadata__": metadata}))


def test_half_characters_in_a_header_are_refused(healthy):
    header = header_of(healthy)
    header["__metadata__"]["charrnn"] += "\ud800"
    refusal(with_header(healthy, header))
    header = header_of(healthy)
    header["\ud800"] = header.pop("head.bias")
    assert "missing" in refusal(with_header(healthy, header))
    refusal(with_header(healthy, json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")))
    refusal(with_header(healthy, json.dumps(header_of(healthy)).encode("utf-16")))


def test_a_sparse_file_larger_than_memory_is_refused(healthy, tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_file.memory, "installed", lambda: 1000)
    assert "this machine has 0.0" in refusal(healthy)


def test_a_file_cut_short_while_it_is_read_is_refused(healthy, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(healthy)
    with path.open("rb") as file:
        header = tensor_file.read_header(file)
        path.write_bytes(healthy[:-4])
        with pytest.raises(CheckpointError, match="cut short"):
            tensor_file.read_tensors(file, header.shapes())


# Forgeries: the checksum is right, the content is not


MEGABYTE = "x" * 2**20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("format", 2), "format 2"),
        (changed("format", 0), "format 0"),
        (changed("format", "1"), "no format"),
        (changed("format", True), "no format"),
        (changed("format", 1.0), "no format"),
        (without("config"), "has no config"),
        (without("history"), "has no history"),
        (changed("config", []), "config must be an object"),
        (changed("config", None), "config must be an object"),
        (changed("config", {}), "incomplete"),
        (changed("config.hidden", 10**9), "hidden must be"),
        (changed("config.hidden", 10**18), "hidden must be"),
        (changed("config.hidden", -1), "hidden must be"),
        (changed("config.hidden", 5.0), "hidden must be"),
        (changed("config.hidden", "5"), "hidden must be"),
        (changed("config.hidden", None), "hidden must be"),
        (changed("config.hidden", [5]), "config has 'hidden'"),
        (changed("config.hidden", 6), "has the shape"),
        (changed("config.hidden", 65536), "has the shape"),
        (changed("config.layers", 64), "missing"),
        (changed("config.layers", True), "layers must be"),
        (changed("config.embedding", 4), "missing"),
        (changed("config.embedding", 0), "embedding must be"),
        (changed("config.hiden", 6), "did you mean 'hidden'"),
        (changed(f"config.{MEGABYTE}", 6), "too long"),
        (changed("config.hidden", MEGABYTE), "too long"),
        (changed("vocabulary", None), "a list was expected"),
        (changed("vocabulary", "abcdé🦊\n"), "a list was expected"),
        (changed("vocabulary", {}), "a list was expected"),
        (changed("vocabulary", []), "no symbols"),
        (changed("vocabulary", ["a", "a"]), "occurs twice"),
        (changed("vocabulary", ["a", "b"]), "2 characters for a model of 7"),
        (changed("vocabulary", [["a"]]), "found list"),
        (changed("vocabulary.0", "ab"), "2 characters instead of one"),
        (changed("vocabulary.0", ""), "0 characters instead of one"),
        (changed("vocabulary.0", MEGABYTE), "1048576 characters instead of one"),
        (changed("vocabulary.0", "\ud800"), "U\\+D800"),
        (changed("vocabulary.1", 10), "found int"),
        (changed("vocabulary", [1, 2, 3, 4, 5, 6, 256]), "out of range"),
        (changed("vocabulary", [1, 2, 3, 4, 5, 6, -1]), "out of range"),
        (changed("vocabulary", [True, False]), "found bool"),
        (changed("vocabulary", [1.0, 2]), "found float"),
        (changed("vocabulary", [1, 2, 3, 4, 5, 6, 7]), "as_bytes"),
        (changed("training", []), "training must be an object"),
        (changed("training", "fast"), "training must be an object"),
        (changed("training.lr", "fast"), "lr must be"),
        (changed("training.lr", -0.5), "lr must be"),
        (changed("training.split", 5), "split"),
        (changed("training.split", "50/60/70"), "sum to 100"),
        (changed("training.split", "9" * 10_000), "split"),
        (changed("training.optimizer", "rm -rf"), "optimizer must be"),
        (changed("training.seed", -1), "seed must be"),
        (changed("training.variational", 1), "variational must be"),
        (changed("training.optimizer", [[]]), "training has 'optimizer'"),
        (changed("training.nonsense", 1), "unknown setting"),
        (changed("progress", 3), "progress must be an object"),
        (changed("progress", None), "progress must be an object"),
        (changed("progress", {"step": 3}), "progress has no "),
        (changed("progress.step", "x"), "not such a number"),
        (changed("progress.step", -1), "not such a number"),
        (changed("progress.step", 2.5), "not such a number"),
        (changed("progress.step", None), "not such a number"),
        (changed("progress.step", True), "not such a number"),
        (changed("progress.best_step", -4), "not such a number"),
        (changed("progress.loss", "low"), "not such a number"),
        (changed("progress.elapsed_s", None), "not such a number"),
        (changed("progress.rate_scale", 1e308), "rate_scale"),
        (changed("progress.rate_scale", -0.5), "rate_scale"),
        (changed("progress.rate_scale", 0), "rate_scale"),
        (changed("progress.rate_scale", [1]), "progress has 'rate_scale'"),
        (changed("history", {}), "history must be a list"),
        (changed("history", [5]), "history must be an object"),
        (changed("history", [[]]), "history must be an object"),
        (changed("history", [{}]), "history has no "),
        (without("history.0.val_loss"), "history has no val_loss"),
        (changed("history.0.val_loss", None), "not such a number"),
        (changed("history.0.step", "1"), "not such a number"),
        (changed("history.0.more", "text"), "not such a number"),
        (changed("corpus", []), "corpus must be an object"),
        (changed("corpus", None), "corpus must be an object"),
        (changed("corpus", {"sha256": "00"}), "sources"),
        (changed("corpus.encoding", 5), "encoding"),
        (changed("corpus.encoding", MEGABYTE), "too long"),
        (changed("corpus.characters", -9), "characters"),
        (changed("corpus.characters", 1.5), "characters"),
        (changed("corpus.sources", [5]), "sources"),
        (changed("corpus.sources", []), "sources"),
        (changed("corpus.sources", ["ok", MEGABYTE]), "sources"),
        (changed("corpus.paths", [None]), "paths"),
        (changed("corpus.as_bytes", 0), "as_bytes"),
        (changed("corpus.as_bytes", True), "as_bytes"),
        (changed("corpus.init_from", 5), "init_from"),
        (changed("corpus.more", [1]), "corpus has 'more'"),
        (tensor("head.bias", np.zeros(6, np.float32)), r"head.bias has the shape \(6,\), not \(7,\)"),
        (tensor("head.bias", np.zeros((1, 7), np.float32)), "shape"),
        (tensor("head.bias", np.zeros(7)), "F64"),
        (tensor("head.bias", np.zeros(7, np.float16)), "F16"),
        (tensor("head.bias", np.full(7, np.nan, np.float32)), "not finite"),
        (tensor("lstm.bias_ih_l0", np.zeros(1, np.float32)), "shape"),
        (tensor("lstm.bias_ih_l0", np.array([*[0] * 19, -np.inf], np.float32)), "not finite"),
        (tensor("optimizer.m.zzz", np.zeros(7, np.float32)), "too many: 'optimizer.m.zzz'"),
        (tensor("optimizer.x.b_out", np.zeros(7, np.float32)), "missing"),
        (tensor("optimizer", np.zeros(7, np.float32)), "too many"),
        (tensor("optimizer.v.b_out", np.full(7, np.inf, np.float32)), "not finite"),
        (tensor("state.h", np.zeros((2, 3), np.float32)), "shape"),
        (tensor("state.h", np.zeros((3,), np.float32)), "shape"),
        (tensor("state.c", np.full((2, 3, 5), np.nan, np.float32)), "not finite"),
        (tensor("\x1b]0;title\x07", np.zeros(1, np.float32)), r"\\x1b\]0;title\\x07"),
        (lambda about, tensors: tensors.pop("lstm.weight_hh_l1"), "missing"),
        (lambda about, tensors: tensors.pop("state.c"), "missing"),
    ],
)
def test_forged_content_is_one_line(healthy, change, message):
    assert re.search(message, refusal(rewritten(healthy, change)))


@pytest.mark.parametrize("value", [3e38, -3e38, 1e19])
def test_weights_too_large_to_compute_with_are_refused(healthy, value):
    for name in ("lstm.bias_ih_l0", "head.weight", "state.c"):
        refused = rewritten(healthy, lambda about, tensors, name=name: tensors[name].fill(value))
        assert f"{name} has values that are not finite, or beyond" in refusal(refused)
    load(rewritten(healthy, lambda about, tensors: tensors["optimizer.v.b_out"].fill(value)))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e400", "9" * 30, "9" * 10_000])
def test_numbers_that_are_not_finite_or_too_large_are_refused(healthy, number):
    description = json.dumps(description_of(healthy)).replace('"elapsed_s": 0.5', f'"elapsed_s": {number}')
    assert "cannot be read" in refusal(forged(healthy, description))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 900 + "]" * 900])
def test_deep_nesting_is_refused(healthy, text):
    refusal(forged(healthy, text))
    header = json.dumps(header_of(healthy))
    refusal(with_header(healthy, (header[:-1] + f', "x": {text}' + "}").encode()))
    nested = json.dumps(description_of(healthy)).replace('"progress": {', f'"corpus2": {text}, "progress": {{')
    if text.endswith("]"):
        load(forged(healthy, nested))  # well formed, and nobody asks for it
        refusal(forged(healthy, json.dumps(description_of(healthy)).replace('"hidden": 5', f'"hidden": {text}')))
    else:
        refusal(forged(healthy, nested))


def test_a_million_lists_are_refused_before_they_are_made(healthy):
    tracemalloc.start()
    try:
        data = with_header(healthy, b'{"a": [' + b"[]," * 10**6 + b"1]}")
        assert "too many values" in refusal(data)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(data)
    finally:
        tracemalloc.stop()


def test_a_description_without_a_run_or_a_text_is_whole(healthy):
    for change in (changed("training", None), changed("progress", {}), changed("history", []), changed("corpus", {})):
        load(rewritten(healthy, change))


def test_an_older_reader_s_file_is_still_read(healthy):
    assert load(rewritten(healthy, changed("version", "0.0.1"))).model == make().model


def test_a_description_too_long_to_be_read_is_not_written(tmp_path, monkeypatch):
    make().save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr(tensor_file, "LARGEST_HEADER", 1000)
    with pytest.raises(CheckpointError, match="more than 1,000: evaluate less often"):
        make().save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


# The library agrees


def test_what_is_read_is_what_the_library_reads(healthy):
    expected = safetensors.numpy.load(healthy)
    loaded = load(healthy)
    np.testing.assert_array_equal(loaded.parameters["w_out"].T, expected["head.weight"])
    np.testing.assert_array_equal(loaded.optimizer["v"]["w_hh_l1"], expected["optimizer.v.w_hh_l1"])
    np.testing.assert_array_equal(loaded.state[0], expected["state.h"])


# JSON


LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e308, 1e308) | st.text()
ANY_JSON = st.deferred(
    lambda: LEAVES | st.lists(ANY_JSON, max_size=4) | st.dictionaries(st.text(), ANY_JSON, max_size=4)
)


@given(ANY_JSON)
def test_strict_json_reads_what_json_writes(value):
    assert strict_json.parse(json.dumps(value)) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-NaInfity\\u \n\t'))
def test_strict_json_accepts_nothing_that_json_refuses(text):
    try:
        value = strict_json.parse(text)
    except ValueError:
        return
    assert json.loads(text) == value


@settings(max_examples=20)
@given(ANY_JSON | st.binary() | st.integers())
def test_what_is_shown_of_a_value_is_short_and_one_line(value):
    assert brief(value).isprintable()
    assert len(brief([value] * 1000)) <= 81


def test_a_number_of_any_size_can_be_shown():
    assert brief(10**5000) == brief(-(1 << 60_000)) == "a huge number"
    assert brief(10**20) == "100000000000000000000"


# Commands


@pytest.mark.parametrize("command", ["info", "sample", "evaluate"])
@pytest.mark.parametrize(
    "change", [without("history.0.val_loss"), changed("progress.step", "x"), changed("config.hidden", 10**9)]
)
def test_commands_refuse_a_forgery_in_one_line(tmp_path, healthy, command, change):
    path = tmp_path / "a.safetensors"
    path.write_bytes(rewritten(healthy, change))
    result = invoke(command, path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert str(path) in result.stderr


def test_info_shows_what_may_be_absent(tmp_path, healthy):
    path = tmp_path / "a.safetensors"
    for change in (
        changed("training.dropout", None),
        changed("history.0.loss", None),
        changed("progress.best_val_loss", None),
        changed("progress.best_step", None),
        changed("progress.elapsed_s", -1e300),
        changed("history.0.val_loss", -1e308),
        changed("progress.step", 2**63),
    ):
        path.write_bytes(rewritten(healthy, change))
        for arguments in ([], ["--json"]):
            result = invoke("info", path, *arguments)
            assert result.exit_code == 0, (result.stderr, result.exception)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("command", [["evaluate"], ["train", "--resume"]])
def test_no_pipe_and_no_device_is_opened_because_a_checkpoint_names_it(tmp_path, model, command):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it would be to wait for ever
    folder = shutil.copytree(model, tmp_path / "run")
    for file in folder.glob("*.safetensors"):
        data = rewritten(file.read_bytes(), changed("corpus.sources", [str(pipe)]))
        file.write_bytes(rewritten(data, changed("corpus.paths", [str(pipe)])))
    where = ["--out", tmp_path, "--name", "run", "--steps", 200] if command[0] == "train" else [folder]
    result = invoke(*command, *where)
    assert result.exit_code == 1
    assert "pipe" in result.stderr and ("cannot be what" if command[0] == "train" else "not there any") in result.stderr


@pytest.mark.parametrize("command", [["evaluate"], ["evaluate", "--novelty"], ["train", "--resume"]])
@pytest.mark.parametrize("what", ["many files", "many bytes", "a long file", "made up"])
def test_no_disk_is_read_because_a_checkpoint_names_it(tmp_path, model, monkeypatch, command, what):
    place = tmp_path / "home"
    place.mkdir()
    for number in range(4):
        (place / f"{number}.txt").write_text("x" * {"many bytes": 200_000, "made up": 0}.get(what, 1000))
    if what == "many files":
        monkeypatch.setattr(sources, "MOST_FILES", 3)
    if what == "a long file":
        place = place / "0.txt"
        place.write_text("x" * 400_000)
    folder = shutil.copytree(model, tmp_path / "run")
    for file in folder.glob("*.safetensors"):
        data = rewritten(file.read_bytes(), changed("corpus.sources", [str(place)]))
        file.write_bytes(rewritten(data, changed("corpus.paths", [str(place)])))
    monkeypatch.setattr("charrnn.text.corpus.open_corpus", lambda *a, **b: pytest.fail("it was opened"))
    where = ["--out", tmp_path, "--name", "run", "--steps", 200] if command[0] == "train" else [folder]
    result = invoke(*command, *where)
    assert result.exit_code == 1
    assert str(place) in result.stderr and "name it as TEXT" in result.stderr


@pytest.mark.parametrize("window", [10**6, 2**63])
def test_a_window_beyond_the_epoch_is_refused_before_the_run_goes_on(tmp_path, model, window):
    folder = shutil.copytree(model, tmp_path / "run")
    path = folder / "last.safetensors"
    path.write_bytes(rewritten(path.read_bytes(), changed("progress.window", window)))
    before = {file: file.read_bytes() for file in folder.iterdir()}
    result = invoke("train", "--resume", "--out", tmp_path, "--name", "run", "--steps", 200)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: {path}: the checkpoint's counters say window ")
    assert {file: file.read_bytes() for file in before} == before


def test_the_healthy_file_is_healthy(healthy):
    assert isinstance(load(healthy), Checkpoint)
