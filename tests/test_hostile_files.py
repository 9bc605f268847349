"""Checkpoint files that are damaged or foreign, or whose header lies: one line each, before memory is asked for."""

import json
import re
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from forgeries import (
    description_of,
    forged,
    header_of,
    header_size,
    load,
    refusal,
    with_header,
)

from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError

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
            tensor_file.read_tensors(file, header.shapes(), header.types())


# The library agrees


def test_what_is_read_is_what_the_library_reads(healthy):
    expected = safetensors.numpy.load(healthy)
    loaded = load(healthy)
    np.testing.assert_array_equal(loaded.parameters["w_out"].T, expected["head.weight"])
    np.testing.assert_array_equal(loaded.optimizer["v"]["w_hh_l1"], expected["optimizer.v.w_hh_l1"])
    np.testing.assert_array_equal(loaded.state["h"], expected["state.h"])


def test_the_healthy_file_is_healthy(healthy):
    assert isinstance(load(healthy), Checkpoint)
