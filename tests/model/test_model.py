"""The Python interface: what it shows of itself, and what is public."""

import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from command_line import ROOT
from forgeries import make

import charrnn
from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.text.vocabulary import Vocabulary


def run_python(code):
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return result.stdout


def test_dir_is_what_is_public():
    assert dir(charrnn) == sorted(charrnn.__all__)
    for name in dir(charrnn):
        assert getattr(charrnn, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        charrnn.trian  # noqa: B018


def test_an_import_is_quick_and_dir_too():
    code = "import sys, charrnn; dir(charrnn); print([name for name in sys.modules if name.split('.')[0] in {}])"
    assert run_python(code.replace("{}", "('numba', 'numpy', 'rich', 'click', 'typing')")) == "[]\n"
    assert run_python("import charrnn, sys; charrnn.load; print('charrnn.training' in sys.modules)") == "False\n"
    assert run_python("from charrnn import *; print(load.__name__, train.__name__)") == "load train\n"


def test_a_model_says_what_it_is(model, text):
    one = charrnn.load(model, threads=1)
    shown = repr(one)
    count = one.network.parameters.size
    loss = one.checkpoint.counters["best_val_loss"]
    size = len(one.vocabulary)
    assert shown == (
        f"<Model: LSTM 2 x 20, {count:,} parameters, {size} characters, fables.txt, validation loss {loss:.4f}>"
    )
    both = charrnn.load(model, model, threads=1)
    assert (
        repr(both) == f"<Model: ensemble of LSTM 2 x 20 and LSTM 2 x 20, {2 * count:,} parameters, {size} characters>"
    )
    assert repr(charrnn.Model(Ensemble([one.network]), one.vocabulary)).startswith("<Model: LSTM 2 x 20, ")


def test_a_mixture_says_what_it_is(model):
    shown = repr(charrnn.load(model, threads=1).mixed())
    assert shown.startswith("<Model: LSTM 2 x 20 with n-grams of up to 16 characters, ")
    assert shown.endswith(" of the network alone>")


def test_a_model_without_a_run_says_what_it_has():
    checkpoint = make()
    bare = charrnn.Model.from_checkpoint(replace(checkpoint, corpus={}, counters={}), threads=1)
    assert repr(bare).endswith("characters>")


def test_a_stranger_s_text_name_is_harmless():
    checkpoint = make()
    name = "\x1b]0;evil\x07\u202e" + 90 * "x" + "\n.txt"
    checkpoint.corpus = checkpoint.corpus | {"sources": ["/a/folder/" + name]}  # other tests share the dictionary
    shown = repr(charrnn.Model.from_checkpoint(checkpoint, threads=1))
    assert shown.isprintable()
    assert "folder" not in shown
    assert "x…" in shown
    assert len(shown) < 200


def test_vocabularies_evaluations_and_choices_say_what_they_are():
    assert repr(Vocabulary("ab\n")) == "<Vocabulary of 3 characters: '\\n', 'a', 'b'>"
    assert repr(Vocabulary(range(256))) == "<Vocabulary of 256 bytes: 0, 1, 2, 3, 4, …>"
    assert repr(charrnn.Evaluation(1.5, 24)) == "Evaluation(loss=1.5, characters=24)"
    assert repr(charrnn.Choice(0.8)) == "Choice(temperature=0.8, top_k=0, top_p=1.0, min_p=0.0)"


def test_many_texts_end_before_a_stop(model):
    one = charrnn.load(model, threads=1)
    whole = one.sample_many(3, "The ", length=60, seed=4)
    assert [text.partition("e")[0] for text in whole] == one.sample_many(3, "The ", length=60, seed=4, stop="e")
    assert one.sample("The ", length=0) == ""
    with pytest.raises(ConfigError, match="0 or more"):
        one.sample(length=-1)


def test_a_run_is_found_by_its_name(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "checkpoints" / "mine")
    assert "LSTM 2 x 20" in repr(charrnn.load("mine"))
    assert "fables" in repr(charrnn.load("fables"))
