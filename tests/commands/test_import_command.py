"""``charrnn import``: models of other programs, and what the other commands make of them."""

import json

import numpy as np
import pytest
import safetensors.numpy
from command_line import invoke, succeed
from pytorch_files import archive, state_dict
from torch7_files import char_rnn, torch_rnn

TEXT = "a cab, a bee; add a deed\nface it\n" * 30
SYMBOLS = sorted(set(TEXT))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to be in, with a model of each program, and a text that they can read."""
    monkeypatch.chdir(tmp_path)
    data = "".join(SYMBOLS).encode()
    (tmp_path / "char-rnn.t7").write_bytes(char_rnn(data, hidden=8)[0])
    (tmp_path / "torch-rnn.t7").write_bytes(torch_rnn("".join(SYMBOLS), hidden=8)[0])
    tensors = state_dict(np.random.default_rng(2), vocabulary=len(SYMBOLS), hidden=8, embedding=None)
    (tmp_path / "pytorch.pt").write_bytes(archive({"state_dict": tensors, "chars": SYMBOLS}))
    (tmp_path / "bare.pth").write_bytes(archive(tensors))
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "chars.json").write_text(json.dumps(SYMBOLS))
    return tmp_path


def refused(*arguments, status=1):
    """The one line that a command ends with."""
    result = invoke(*arguments)
    assert isinstance(result.exception, SystemExit) and result.exit_code == status, result.exception
    assert result.stdout == ""
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    return line


@pytest.mark.parametrize(
    ("file", "origin"), [("char-rnn.t7", "char-rnn"), ("torch-rnn.t7", "torch-rnn"), ("pytorch.pt", "PyTorch")]
)
def test_an_imported_model_is_a_model_for_every_command(here, file, origin):
    result = succeed("import", file, "mine.safetensors")
    assert result.stdout == ""
    assert f"{origin}" in result.stderr and f"wrote mine.safetensors: 2 x 8, {len(SYMBOLS)} characters" in result.stderr
    about = json.loads(succeed("info", "mine.safetensors", "--json").stdout)
    assert about["imported"] == f"{file} ({origin})"
    assert (about["training"], about["progress"], about["corpus"], about["resumable"]) == (None, {}, {}, False)
    assert about["vocabulary"] == SYMBOLS
    assert f"imported from  {file} ({origin})" in succeed("info", "mine.safetensors").stdout
    assert len(succeed("sample", "mine.safetensors", "--length", 30, "--threads", 1).stdout) == 30
    scored = json.loads(succeed("evaluate", "mine.safetensors", "text.txt", "--json", "--threads", 1).stdout)
    assert (scored["part"], scored["characters"]) == ("all", len(TEXT) - 1)
    assert "cell" in succeed("inspect", "mine.safetensors", "text.txt", "--threads", 1).stdout
    for command in ("evaluate", "inspect", "baselines", "novelty"):
        message = refused(command, "mine.safetensors")
        assert "does not say which text" in message
        assert ("--fit" in message) == (command in ("baselines", "novelty"))  # the others have no such option


def test_an_imported_model_can_go_on_learning_and_be_given_away(here):
    succeed("import", "char-rnn.t7", "mine.safetensors")
    succeed("export", "mine.safetensors", "given.safetensors")
    assert json.loads(succeed("info", "given.safetensors", "--json").stdout)["imported"] == "char-rnn.t7 (char-rnn)"
    how = ["--steps", 2, "--seq-len", 16, "--batch-size", 4, "--out", "runs", "--threads", 1, "-q"]
    succeed("train", "text.txt", "--init-from", "given.safetensors", "--name", "more", *how)
    about = json.loads(succeed("info", "runs/more", "--json").stdout)
    assert about["corpus"]["init_from"].endswith("given.safetensors")
    assert about["imported"] is None


@pytest.mark.parametrize("options", [["--vocabulary", "chars.json"], ["--vocabulary-of", "text.txt"]])
def test_characters_from_elsewhere(here, options):
    succeed("import", "bare.pth", "mine.safetensors", *options, "-q")
    assert json.loads(succeed("info", "mine.safetensors", "--json").stdout)["vocabulary"] == SYMBOLS


def test_a_model_of_bytes(here):
    tensors = state_dict(np.random.default_rng(2), vocabulary=256, hidden=2, layers=1, embedding=2)
    (here / "bytes.pt").write_bytes(archive(tensors))
    succeed("import", "bytes.pt", "mine.safetensors", "--bytes")
    assert json.loads(succeed("info", "mine.safetensors", "--json").stdout)["vocabulary"] == [*range(256)]
    assert f"a model of {len(SYMBOLS)} characters, and the vocabulary has 256" in refused(
        "import", "bare.pth", "other.safetensors", "--bytes"
    )


def test_tensors_by_name(here):
    tensors = state_dict(np.random.default_rng(2), vocabulary=5, hidden=4, embedding=4, encoder="x", head="y")
    del tensors["y.bias"]
    (here / "choice.pt").write_bytes(
        archive({"m": tensors, "chars": list("abcde"), "more": {"z": np.ones(3, "float32")}})
    )
    line = refused("import", "choice.pt", "mine.safetensors")
    assert (
        "choice.pt: choose the linear layer to characters with --head NAME: 'x.weight' (5, 4), 'y.weight' (5, 4)"
        in line
    )
    assert "head 'x.weight'" in succeed("import", "choice.pt", "mine.safetensors", "--head", "x.weight").stderr
    tied = ["--head", "y.weight", "--embedding", "y.weight", "--ignore", "x.weight", "--lstm", "m.lstm", "--force"]
    assert "head 'y.weight', tied" in succeed("import", "choice.pt", "mine.safetensors", *tied).stderr


def test_a_dot_names_the_lstm_without_a_name(here):
    both = {lstm: state_dict(np.random.default_rng(2), hidden=4, lstm=lstm) for lstm in ("", "enc.")}
    (here / "two.pt").write_bytes(archive(both[""] | {"a": both["enc."], "chars": list("abcde")}))
    line = refused("import", "two.pt", "mine.safetensors")
    assert "choose one of its recurrent modules with --lstm NAME: '.', 'a.enc'" in line
    assert "LSTM '.'" in succeed("import", "two.pt", "mine.safetensors", "--lstm", ".").stderr


def test_what_is_in_the_way_is_said(here):
    succeed("import", "char-rnn.t7", "mine.safetensors")
    before = (here / "mine.safetensors").read_bytes()
    assert "give --force to replace it" in refused("import", "pytorch.pt", "mine.safetensors")
    assert (here / "mine.safetensors").read_bytes() == before
    assert "a checkpoint of charrnn already" in refused("import", "mine.safetensors", "twice.safetensors")
    assert "nowhere.t7: cannot be read (No such file" in refused("import", "nowhere.t7", "other.safetensors")
    assert "cannot be read" in refused("import", ".", "other.safetensors")
    assert "text.txt: not a file of PyTorch" in refused("import", "text.txt", "other.safetensors")
    assert "give --vocabulary JSON" in refused("import", "bare.pth", "other.safetensors")
    assert "chars.txt" in refused("import", "bare.pth", "other.safetensors", "--vocabulary", "chars.txt")
    assert "does not end in .safetensors" in refused("import", "bare.pth", "other.pt", status=2)
    both = ["--vocabulary", "chars.json", "--bytes"]
    assert "exclude each other" in refused("import", "bare.pth", "other.safetensors", *both, status=2)
    assert not (here / "other.safetensors").exists()


def test_weights_that_are_no_numbers_are_refused_by_the_name_of_their_file(here):
    tensors = state_dict(np.random.default_rng(2), vocabulary=len(SYMBOLS), hidden=8, embedding=None)
    tensors["lstm.weight_hh_l0"][3, 4] = np.nan
    (here / "broken.pt").write_bytes(archive({"state_dict": tensors, "chars": SYMBOLS}))
    line = refused("import", "broken.pt", "other.safetensors")
    assert line.startswith("Error: broken.pt: the tensor lstm.weight_hh_l0 has values that are not finite")
    assert not (here / "other.safetensors").exists()


def test_a_command_that_gets_another_programs_file_names_import(here):
    data = safetensors.numpy.save(state_dict(np.random.default_rng(2)))
    (here / "theirs.safetensors").write_bytes(data)
    for file in ("char-rnn.t7", "pytorch.pt", "bare.pth", "theirs.safetensors"):
        line = refused("sample", file)
        assert file in line and "charrnn import" in line


def test_names_from_a_hostile_file_are_harmless(here):
    tensors = state_dict(np.random.default_rng(2), vocabulary=5, hidden=4)
    evil = "\x1b]52;c;aGk=\x07[red]\u202e" + "x" * 5000
    (here / "evil.pt").write_bytes(archive(tensors | {evil: np.ones((5, 7), "float32")}))
    line = refused("import", "evil.pt", "other.safetensors")
    assert line.isprintable() and len(line) < 1000 and "--ignore NAME" in line
