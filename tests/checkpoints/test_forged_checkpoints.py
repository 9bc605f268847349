"""Tests of checkpoints with a right checksum and wrong content: each is refused in one line, by every command."""

import json
import re
import shutil
import tracemalloc

import numpy as np
import pytest
from command_line import invoke
from forgeries import (
    changed,
    description_of,
    forged,
    header_of,
    load,
    make,
    refusal,
    rewritten,
    tensor,
    with_header,
    without,
)

from charrnn.checkpoints import tensor_file
from charrnn.errors import CheckpointError

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
        (changed("progress.step", "x"), "not an allowed number"),
        (changed("progress.step", -1), "not an allowed number"),
        (changed("progress.step", 2.5), "not an allowed number"),
        (changed("progress.step", None), "not an allowed number"),
        (changed("progress.step", True), "not an allowed number"),
        (changed("progress.best_step", -4), "not an allowed number"),
        (changed("progress.loss", "low"), "not an allowed number"),
        (changed("progress.elapsed_s", None), "not an allowed number"),
        (changed("progress.rate_scale", 1e308), "rate_scale"),
        (changed("progress.rate_scale", -0.5), "rate_scale"),
        (changed("progress.rate_scale", 0), "rate_scale"),
        (changed("progress.rate_scale", [1]), "progress has 'rate_scale'"),
        (changed("history", {}), "history must be a list"),
        (changed("history", [5]), "history must be an object"),
        (changed("history", [[]]), "history must be an object"),
        (changed("history", [{}]), "history has no "),
        (without("history.0.val_loss"), "history has no val_loss"),
        (changed("history.0.val_loss", None), "not an allowed number"),
        (changed("history.0.step", "1"), "not an allowed number"),
        (changed("history.0.more", "text"), "not an allowed number"),
        (changed("corpus", []), "corpus must be an object"),
        (changed("corpus", None), "corpus must be an object"),
        (changed("corpus", {"sha256": "00"}), "sources"),
        (changed("corpus.encoding", 5), "encoding"),
        (changed("corpus.encoding", MEGABYTE), "too long"),
        (changed("corpus.characters", -9), "characters"),
        (changed("corpus.characters", 1.5), "characters"),
        (changed("corpus.bytes", -1), "bytes"),
        (changed("corpus.bytes", 1e9), "bytes"),
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
        load(forged(healthy, nested))  # well formed, under a key that is not read
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


def test_a_file_of_an_older_version_is_still_read(healthy):
    assert load(rewritten(healthy, changed("version", "0.0.1"))).model == make().model


def test_a_description_too_long_to_be_read_is_not_written(tmp_path, monkeypatch):
    make().save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    monkeypatch.setattr(tensor_file, "LARGEST_HEADER", 1000)
    with pytest.raises(CheckpointError, match="more than 1,000: evaluate less often"):
        make().save(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == before


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
