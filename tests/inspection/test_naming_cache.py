"""The file that keeps what cells track: it is used once it is there, and is not believed."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from forgeries import make

from charrnn.checkpoints.run_names import LAST, SHARED
from charrnn.inspection.naming import Tracked
from charrnn.inspection.naming_cache import FILE, NamingCache
from charrnn.model import Model

NAMES = {(0, 4): Tracked("column", "spearman", -0.75), (1, 2): Tracked("word", "auc", 0.125)}


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    """The user's cache folder, of this test alone."""
    monkeypatch.setattr("charrnn.inspection.naming_cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "cells"


@pytest.fixture
def run(tmp_path):
    """The folder of a run."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / LAST).touch()
    return folder


def model_of(checkpoint):
    return Model.from_checkpoint(checkpoint, threads=1)


@pytest.fixture(scope="module")
def model():
    return model_of(make())


def never(line):
    raise AssertionError(line)


def test_names_are_kept_in_the_folder_of_the_run(model, run, user_cache):
    assert NamingCache(model, run).load(never) is None
    NamingCache(model, run).save(NAMES, never)
    assert sorted(path.name for path in run.iterdir()) == [FILE, LAST]
    assert not user_cache.exists()
    assert NamingCache(model, run).load(never) == NAMES


def test_a_folder_that_is_no_run_s_is_left_alone(model, tmp_path, user_cache):
    """A folder for Hugging Face is given away as it is."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / SHARED).touch()
    NamingCache(model, tmp_path / "hub").save(NAMES, never)
    assert not (tmp_path / "hub" / FILE).exists()
    assert NamingCache(model, tmp_path / "hub").load(never) == NAMES


def test_no_names_are_a_result_too(model, run):
    NamingCache(model, run).save({}, never)
    assert NamingCache(model, run).load(never) == {}


def test_a_checkpoint_file_has_its_names_in_the_user_s_cache(model, tmp_path, user_cache):
    file = tmp_path / "a.safetensors"
    file.touch()
    NamingCache(model, file).save(NAMES, never)
    assert len(list(user_cache.iterdir())) == 1
    assert NamingCache(model, file).load(never) == NAMES
    assert NamingCache(model, tmp_path / "b.safetensors").load(never) == NAMES  # the same weights under another name


def test_a_folder_that_cannot_be_written_leaves_them_to_the_user_s_cache(model, run, user_cache):
    (run / FILE).mkdir()  # like a read-only folder, but also for root
    NamingCache(model, run).save(NAMES, never)
    assert len(list(user_cache.iterdir())) == 1
    said = []
    assert NamingCache(model, run).load(said.append) == NAMES
    assert len(said) == 1 and "ignored" in said[0]


def test_the_user_s_cache_is_bounded(model, tmp_path, user_cache, monkeypatch):
    monkeypatch.setattr("charrnn.inspection.naming_cache.MOST_FILES", 3)
    user_cache.mkdir(parents=True)
    for age in range(5):
        (user_cache / f"{age}.json").touch()
        os.utime(user_cache / f"{age}.json", (1e9 - age, 1e9 - age))
    NamingCache(model, tmp_path / "a.safetensors").save(NAMES, never)
    assert {path.name for path in user_cache.iterdir()} > {"0.json", "1.json"}
    assert len(list(user_cache.iterdir())) == 3
    assert NamingCache(model, tmp_path / "a.safetensors").load(never) == NAMES


def test_nowhere_to_write_is_one_line(model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr("charrnn.inspection.naming_cache.cache_folder", lambda: tmp_path / "file")
    said = []
    NamingCache(model, tmp_path / "a.safetensors").save(NAMES, said.append)
    assert len(said) == 1 and "computed again next time" in said[0]
    assert NamingCache(model, tmp_path / "a.safetensors").load(lambda line: None) is None


def test_other_weights_texts_characters_or_code_have_other_names(model, run, monkeypatch):
    NamingCache(model, run).save(NAMES, never)
    own = make()
    weights = dict(own.parameters)
    name = next(iter(weights))
    weights[name] = weights[name] + np.float32(1e-3)
    others = [
        replace(own, parameters=weights),
        replace(own, corpus=own.corpus | {"sha256": "01"}),
        replace(own, training=replace(own.training, split="80/20/0")),
        make(symbols="\nabcdé🐺"),
    ]
    assert NamingCache(model_of(own), run).load(never) == NAMES
    assert [NamingCache(model_of(each), run).load(never) for each in others] == [None] * 4
    monkeypatch.setattr("charrnn.inspection.naming_cache.hash_sources", lambda *places: "other code")
    assert NamingCache(model, run).load(never) is None


def saved(model, run):
    NamingCache(model, run).save(NAMES, never)
    return json.loads((run / FILE).read_text())


def _with(**fields):
    """A change of the first cell of a file."""
    return lambda content: content["cells"][0].update(fields)


@pytest.mark.parametrize(
    "spoil",
    [
        _with(layer=2),
        _with(unit=5),
        _with(unit=-1),
        _with(layer=True),
        _with(unit=1.0),
        _with(hypothesis="\x1b[31mred"),
        _with(hypothesis=["word"]),
        _with(measure="auc"),
        _with(value=-1.5),
        _with(value=None),
        _with(value="0.5"),
        _with(more=1),
        lambda content: content["cells"].append(content["cells"][0]),
        lambda content: content["cells"].append("0:1"),
        lambda content: content.update(cells={}),
        lambda content: content.update(more=1),
        lambda content: content.pop("cells"),
        lambda content: content.pop("key"),
    ],
)
def test_a_file_with_anything_else_is_ignored(model, run, spoil):
    content = saved(model, run)
    spoil(content)
    (run / FILE).write_text(json.dumps(content))
    said = []
    assert NamingCache(model, run).load(said.append) is None
    assert len(said) == 1
    assert said[0].startswith(f"{run / FILE}: ignored (")
    assert "\x1b" not in said[0]


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 5000, b"[]", b'{"key": NaN}', b" " * 10_000])
def test_any_other_bytes_are_ignored(model, run, data):
    (run / FILE).write_bytes(data)
    said = []
    assert NamingCache(model, run).load(said.append) is None
    assert len(said) == 1


def test_a_file_of_another_format_is_no_mistake(model, run):
    content = saved(model, run) | {"format": 2, "cells": "in other ways"}
    (run / FILE).write_text(json.dumps(content))
    assert NamingCache(model, run).load(never) is None
