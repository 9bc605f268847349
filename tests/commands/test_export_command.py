"""``charrnn export`` for other tools: which ending is for whom, what is in the way, and nothing half."""

import os
from pathlib import Path

import pytest
from command_line import invoke, succeed

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.system import files


def listed(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def fake_pytorch(monkeypatch):
    """Exports for PyTorch work without it: what the files hold is tested elsewhere."""
    monkeypatch.setattr("charrnn.system.libraries.find_spec", lambda name: True)
    monkeypatch.setattr("charrnn.checkpoints.foreign.to_pytorch.weights_file", lambda checkpoint: b"weights")


def test_a_name_without_an_ending_is_a_folder_for_hugging_face(model, tmp_path):
    result = succeed("export", model, tmp_path / "fox")
    assert "wrote" in result.stderr
    names = ("README.md", "char_lstm.py", "config.json", "model.safetensors", "vocabulary.json")
    assert sorted(names) == listed(tmp_path / "fox")
    assert "# fox" in (tmp_path / "fox" / "README.md").read_text("utf-8")
    weights = tmp_path / "fox" / "model.safetensors"
    expected = succeed("sample", model, "--seed", 1).stdout
    assert succeed("sample", weights, "--seed", 1).stdout == expected
    assert succeed("sample", tmp_path / "fox", "--seed", 1).stdout == expected
    assert b"/fables.txt" not in weights.read_bytes()


def test_a_folder_that_is_there_is_filled_and_nothing_else_in_it_changes(model, tmp_path, monkeypatch):
    (tmp_path / "my.model").mkdir()
    succeed("export", model, tmp_path / "my.model")
    (tmp_path / "my.model" / "README.md").write_text("mine")
    (tmp_path / "my.model" / "notes.txt").write_text("mine")
    result = invoke("export", model, tmp_path / "my.model")
    assert result.exit_code == 1
    assert "give --force" in result.stderr
    assert (tmp_path / "my.model" / "README.md").read_text() == "mine"
    succeed("export", model, tmp_path / "my.model", "--force")
    assert (tmp_path / "my.model" / "README.md").read_text("utf-8").startswith("---")
    assert (tmp_path / "my.model" / "notes.txt").read_text() == "mine"
    monkeypatch.chdir(tmp_path / "my.model")
    succeed("export", model, ".", "--force", "-q")
    assert "# my.model" in Path("README.md").read_text("utf-8")


def test_a_missing_target_and_a_folder_in_its_place_are_said(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "as in cells.safetensors." in invoke("export", model).stderr
    Path("page.html").mkdir()
    result = invoke("export", model, "--page", "page.html")
    assert result.exit_code == 2 and "there is a folder that is called so" in result.stderr


@pytest.mark.parametrize("name", ["fox.pth", "fox.tar.gz", "", "file"])
def test_a_target_that_cannot_be_is_refused(model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    result = invoke("export", model, name)
    assert result.exit_code == 2
    assert name == "" or "the name of a folder has no ending" in result.stderr
    assert listed(tmp_path) == ["file"]


def test_a_folder_in_the_place_of_a_file(model, tmp_path):
    (tmp_path / "fox.onnx").mkdir()
    assert "there is a folder" in invoke("export", model, tmp_path / "fox.onnx").stderr
    result = invoke("export", model, tmp_path / "nowhere" / "fox")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr


def test_a_module_stands_beside_weights_for_pytorch(fake_pytorch, model, tmp_path):
    result = succeed("export", model, tmp_path / "fox.pt")
    assert "fox.pt and " in result.stderr and "fox.py" in result.stderr
    assert listed(tmp_path) == ["fox.pt", "fox.py"]
    (tmp_path / "fox.pt").unlink()
    result = invoke("export", model, tmp_path / "fox.pt")
    assert result.exit_code == 1
    assert "fox.py is there already: give --force" in result.stderr
    succeed("export", model, tmp_path / "fox.pt", "--force", "-q")
    assert (tmp_path / "fox.pt").read_bytes() == b"weights"


@pytest.fixture
def mixed(tmp_path_factory, text):
    """A run with n-grams beside the network."""
    out = tmp_path_factory.mktemp("mixed")
    succeed("train", text, "--out", out, "--hidden", 8, "--steps", 20, "--threads", 1, "-q", "--name", "fox")
    return out / "fox"


def test_n_grams_are_left_out_and_that_is_said(fake_pytorch, mixed, tmp_path):
    for name in ("fox", "fox.pt"):
        assert "n-grams" in succeed("export", mixed, tmp_path / name).stderr
    assert Checkpoint.load(tmp_path / "fox" / "model.safetensors").ngrams is None
    assert "are left out. --ngrams on takes them along" in succeed("export", mixed, tmp_path / "a.safetensors").stderr
    assert "n-grams" not in succeed("export", mixed, tmp_path / "b.safetensors", "--ngrams", "on").stderr
    assert [Checkpoint.load(tmp_path / f"{name}.safetensors").ngrams is None for name in "ab"] == [True, False]
    result = invoke("export", mixed, tmp_path / "other", "--ngrams", "on")
    assert result.exit_code == 1
    assert "only a .safetensors file has a place for n-grams" in result.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_no_half_folder(model, tmp_path, monkeypatch, error):
    write, calls = files.write_durably, []

    def fail_at_the_third(path, data, previous=None):
        calls.append(path)
        if len(calls) == 3:
            raise error
        write(path, data, previous)

    monkeypatch.setattr(files, "write_durably", fail_at_the_third)
    result = invoke("export", model, tmp_path / "fox")
    assert result.exit_code == 1
    assert len(calls) == 3
    assert listed(tmp_path) == []
    if isinstance(error, OSError):
        assert "cannot be written (No space left on device)" in result.stderr


def test_a_folder_that_cannot_be_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)  # the superuser may write everywhere
    (tmp_path / "fox").mkdir()
    for name in ("fox", "new"):
        result = invoke("export", model, tmp_path / name)
        assert result.exit_code == 2
        assert "is read-only" in result.stderr


def test_a_page_is_one_file_that_says_how_near_it_is(model, tmp_path):
    page = tmp_path / "fox.html"
    result = succeed("export", model, "--page", page)
    assert "weights of 16 bits: probabilities within" in result.stderr
    within = float(result.stderr.partition("within ")[2].split()[0])
    assert 0 < within < 1e-3
    assert listed(tmp_path) == ["fox.html"]
    assert f"by at most {within:.2g}." in page.read_text("ascii")
    assert "fables.txt" not in page.read_text("ascii")
    assert "give --force" in invoke("export", model, page).stderr
    sixteen = page.stat().st_size
    assert "8 bits" in succeed("export", model, page, "--force", "--bits", 8).stderr
    eight = page.stat().st_size
    assert eight < sixteen
    assert succeed("export", model, page, "--force", "--bits", 32).stderr.count("within") == 0
    assert page.stat().st_size > sixteen


def test_a_page_of_a_transformer_says_how_near_it_is(tmp_path):
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network
    from charrnn.text.vocabulary import Vocabulary

    network = Network(ModelConfig(96, 48, 2, cell="transformer"), seed=1, threads=1)
    vocabulary = Vocabulary(map(chr, range(32, 128)))
    Checkpoint(network.config, vocabulary, parameters=dict(network.parameters.items())).save(tmp_path / "a.safetensors")
    stderr = succeed("export", tmp_path / "a.safetensors", "--page", tmp_path / "a.html").stderr
    assert 0 < float(stderr.partition("within ")[2].split()[0]) < 1e-3
    page = (tmp_path / "a.html").read_text("ascii")
    assert '"heads":4,"context":64' in page.replace(": ", ":").replace(", ", ",")
    assert "Transformer 2 &#215; 48, 96 characters" in page


def test_a_page_of_a_usual_network_has_at_most_a_megabyte(tmp_path):
    from charrnn.config import ModelConfig
    from charrnn.network.network import Network
    from charrnn.text.vocabulary import Vocabulary

    for layers, hidden, bits in ((1, 128, 16), (2, 128, 16), (2, 192, 8)):
        network = Network(ModelConfig(96, hidden, layers), seed=1, threads=1)
        parameters = dict(network.parameters.items())
        checkpoint = Checkpoint(network.config, Vocabulary(map(chr, range(32, 128))), parameters=parameters)
        checkpoint.save(tmp_path / "model.safetensors")
        stderr = succeed("export", tmp_path / "model.safetensors", tmp_path / "page.html", "--force").stderr
        assert f"weights of {bits} bits" in stderr
        assert (tmp_path / "page.html").stat().st_size <= 1_000_000


def test_options_of_a_page_are_refused_elsewhere(model, tmp_path):
    result = invoke("export", model, "--page", tmp_path / "fox")
    assert result.exit_code == 2
    assert "the name of a page ends in .html" in result.stderr
    result = invoke("export", model, tmp_path / "fox.safetensors", "--bits", 8)
    assert result.exit_code == 2
    assert "--bits is for a page" in result.stderr
    assert listed(tmp_path) == []
    assert "only a .safetensors file" in invoke("export", model, tmp_path / "a.html", "--ngrams", "on").stderr
