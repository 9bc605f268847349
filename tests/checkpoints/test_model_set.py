"""Sets of models in files: there and back, damaged, forged."""

import io
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

from charrnn.checkpoints import model_set
from charrnn.checkpoints.checkpoint import Checkpoint, checksum
from charrnn.checkpoints.model_set import KEY, ModelSet, is_model_set
from charrnn.errors import CharRNNError, CheckpointError

TEXTS = {"deutsch": np.frombuffer("Füchse".encode(), np.uint8), "漢": np.arange(256).astype(np.uint8)}
HEALTHY = ModelSet(6, TEXTS)


def refusal(data):
    """The message about ``data``, one short line."""
    with pytest.raises(CharRNNError) as caught:
        ModelSet.read(io.BytesIO(bytes(data)))
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400
    return message


def forged(about=None, tensors=None, **changes):
    """A file with the right checksum whose description has ``changes``."""
    if about is None:
        about = json.dumps({"format": 1, "version": "0", "order": 6, "names": list(TEXTS)} | changes)
    tensors = tensors or {f"text.{number}": text for number, text in enumerate(TEXTS.values())}
    return safetensors.numpy.save(tensors, {KEY: about, "sha256": checksum(about, tensors)})


def test_there_and_back(tmp_path):
    path = tmp_path / "a.safetensors"
    HEALTHY.save(path)
    found = ModelSet.load(path)
    assert found.order == 6 and list(found.texts) == list(TEXTS)
    for name, text in TEXTS.items():
        np.testing.assert_array_equal(found.texts[name], text)
    assert is_model_set(path) and not is_model_set(tmp_path / "b") and not is_model_set(tmp_path)
    assert safetensors.numpy.load(path.read_bytes()).keys() == {"text.0", "text.1"}
    with pytest.raises(CheckpointError, match="only charrnn identify reads"):
        Checkpoint.load(path)


def test_truncation_and_flipped_bytes_are_noticed():
    data = bytearray(HEALTHY.to_bytes())
    for length in range(len(data)):
        refusal(data[:length])
    refusal(data + b" ")
    for place in range(len(data)):
        data[place] ^= 1
        refusal(data)
        data[place] ^= 1
    ModelSet.read(io.BytesIO(bytes(data)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"about": "[" * 5000}, "cannot be read"),
        ({"about": "[]"}, "no format"),
        ({"about": '{"format": 1, "format": 1}'}, "cannot be read"),
        ({"format": 2}, "format 2"),
        ({"format": True}, "no format"),
        ({"order": 0}, "order 0"),
        ({"order": 10**6}, "order"),
        ({"order": None}, "order None"),
        ({"names": []}, "no names"),
        ({"names": "ab"}, "no names"),
        ({"names": ["a"] * 2}, "comes twice"),
        ({"names": ["a", "none"]}, "none of them"),
        ({"names": ["a", ""]}, "cannot be the name"),
        ({"names": ["a", "b\x1b[2J"]}, "cannot be the name"),
        ({"names": ["a", "b" * 101]}, "cannot be the name"),
        ({"names": ["a", 3]}, "cannot be the name"),
        ({"names": ["a"]}, "not those of 1"),
        ({"names": list("abc")}, "not those of 3"),
        ({"names": [str(k) for k in range(1001)]}, "more than 1,000"),
        ({"tensors": {"text.0": np.zeros(3, np.float32), "text.1": np.zeros(3, np.uint8)}}, "at most"),
        ({"tensors": {"text.0": np.zeros((3, 2), np.uint8), "text.1": np.zeros(3, np.uint8)}}, "at most"),
        ({"tensors": {"text.0": np.zeros(10**6 + 1, np.uint8), "text.1": np.zeros(3, np.uint8)}}, "at most"),
    ],
)
def test_forged_descriptions_are_refused(changes, message):
    assert message in refusal(forged(**changes))


def test_other_files_are_refused():
    assert "not a set of models" in refusal(safetensors.numpy.save({"a": np.zeros(1, np.uint8)}, {"x": "y"}))
    assert "a text, not a checkpoint" in refusal(b"Once upon a time, there was a fox.")
    assert "checksum" in refusal(
        safetensors.numpy.save({"text.0": TEXTS["漢"]}, {KEY: json.dumps({"format": 1, "order": 6, "names": ["a"]})})
    )


def test_what_could_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"before")
    for texts in ({}, {"none": TEXTS["漢"]}, {"a\n": TEXTS["漢"]}, {"a": np.zeros(10**6 + 1, np.uint8)}):
        with pytest.raises(CheckpointError, match="cannot be written"):
            ModelSet(6, texts).save(path)
    with pytest.raises(CheckpointError, match="cannot be written"):
        HEALTHY.save(tmp_path / "none" / "a.safetensors")
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_a_lie_about_sizes_costs_no_memory():
    text = json.dumps({"text.0": {"dtype": "U8", "shape": [10**9], "data_offsets": [0, 10**9]}}).encode()
    tracemalloc.start()
    refusal(len(text).to_bytes(8, "little") + text + b"x" * 100)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_the_name_for_none_is_the_one_that_answers_have():
    assert model_set.NONE == "none"
