"""New characters for a trained model: what it knew it keeps, what is new it learns."""

import json
import math

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.vocabulary_growth import describe_growth, grow
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError, VocabularyError
from charrnn.model import Model
from charrnn.network.cells import parameter_shapes
from charrnn.text.corpus import open_corpus
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

LATIN, CYRILLIC = "abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщ"


def checkpoint(symbols, rng, embedding=None):
    model = ModelConfig(len(symbols), hidden=12, layers=2, embedding=embedding)
    parameters = {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in parameter_shapes(model).items()}
    return Checkpoint(model, Vocabulary.from_list(symbols), parameters=parameters)


def logits(checkpoint, text):
    """(T, V): the logits after every character of a text."""
    network = Model.from_checkpoint(checkpoint, threads=1).network
    x = checkpoint.vocabulary.encode(text).reshape(-1, 1)
    return np.array(network.forward(x, network.initial_state(1))[:, 0])


@pytest.mark.parametrize("embedding", [None, 5])
@pytest.mark.parametrize("symbols", [list("dacb"), list(b"dacb")])
def test_known_characters_keep_their_weights_wherever_they_stand(rng, embedding, symbols):
    before = checkpoint(symbols, rng, embedding)
    order = [*symbols[2:], *([122] if isinstance(symbols[0], int) else ["z"]), *symbols[:2]]
    after = grow(before, Vocabulary.from_list(order), seed=1)
    assert after.model == ModelConfig(5, 12, 2, embedding)
    assert {name: value.shape for name, value in after.parameters.items()} == parameter_shapes(after.model)
    rows = "embedding" if embedding else "w_ih_l0"
    for old, symbol in enumerate(symbols):
        new = order.index(symbol)
        assert np.array_equal(after.parameters[rows][new], before.parameters[rows][old])
        assert np.array_equal(after.parameters["w_out"][:, new], before.parameters["w_out"][:, old])
        assert after.parameters["b_out"][new] == before.parameters["b_out"][old]
    for name in before.parameters.keys() - {rows, "w_out", "b_out"}:
        assert np.array_equal(after.parameters[name], before.parameters[name])


@pytest.mark.parametrize("embedding", [None, 5])
def test_on_a_text_of_known_characters_only_what_new_ones_are_given_is_lost(rng, embedding):
    before = checkpoint(list("abcdefg"), rng, embedding)
    after = grow(before, Vocabulary.from_list(list("ηgfedcbaθ")), seed=1)
    text = "".join(rng.choice(list("abcdefg"), 200))
    was, now = logits(before, text), logits(after, text)
    assert np.array_equal(now[:, 7:0:-1], was)  # the same bits
    given = np.exp(now[:-1, [0, 8]].astype(float)).sum(axis=1) / np.exp(now[:-1].astype(float)).sum(axis=1)
    rise = Model.from_checkpoint(after, 1).loss(text) - Model.from_checkpoint(before, 1).loss(text)
    assert rise == pytest.approx(-np.log1p(-given).mean(), rel=1e-3)
    assert 0 < rise < 2 * math.log(1 + 2 / 7)


def test_new_rows_are_seeded_and_like_the_known_ones(rng):
    before = checkpoint(list("abcdefghijklmnopqrst"), rng)
    new = Vocabulary.from_list([*before.vocabulary.symbols, *CYRILLIC])
    rows = [grow(before, new, seed).parameters["w_ih_l0"][20:] for seed in (1, 1, 2)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])
    assert rows[0].std() == pytest.approx(before.parameters["w_ih_l0"].std(), rel=0.1)
    grown = grow(before, new, 1).parameters
    assert grown["w_out"][:, 20:].std() == pytest.approx(before.parameters["w_out"].std(), rel=0.2)
    assert np.allclose(grown["b_out"][20:], before.parameters["b_out"].mean())
    assert len(np.unique(rows[0][:, 0])) == 26


def test_a_vocabulary_that_lacks_known_characters_is_refused(rng):
    with pytest.raises(VocabularyError, match="does not know 'b'"):
        grow(checkpoint(list("ab"), rng), Vocabulary("ac"), seed=1)


def test_one_known_character(rng):
    after = grow(checkpoint(["a"], rng), Vocabulary("ab"), seed=1)
    assert all(np.isfinite(value).all() for value in after.parameters.values())


# The vocabulary


def test_a_vocabulary_grows_at_its_end():
    known = tuple("dca")
    counts = {"a": 1, "z": 5, "b": 3, "é": 1}
    assert Vocabulary.from_counts(counts, known=known).symbols == (*known, "b", "z", "é")
    assert Vocabulary.from_counts(counts, 2, known=known).symbols == (*known, "b", "z", REPLACEMENT)
    assert Vocabulary.from_counts(counts, 9, known=known).symbols == (*known, REPLACEMENT)
    assert Vocabulary.from_counts(counts, 2, known=(*known, REPLACEMENT)).symbols == (*known, REPLACEMENT, "b", "z")
    assert Vocabulary.from_counts({"a": 1}, 2, known=known).symbols == known
    assert Vocabulary.from_counts({"a": 1}, 1, 2, known=known).symbols == known  # larger than allowed, but not grown
    assert Vocabulary.from_counts({200: 1, 3: 1}, known=(3, 1)).symbols == (3, 1, 200)


@pytest.mark.parametrize(("most", "advice"), [(5, "or --min-count 4"), (4, "pass --max-vocab 6"), (3, "--max-vocab 6")])
def test_a_vocabulary_that_grows_too_large(most, advice):
    counts = {"a": 1, "z": 5, "b": 3, "é": 1}
    with pytest.raises(CorpusError, match="6 symbols, 3 of which the model knows already, are more than") as caught:
        Vocabulary.from_counts(counts, 1, most, known=tuple("dca"))
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize("stream_from", [1, 1 << 20])
def test_a_text_is_opened_with_a_vocabulary_that_grows(tmp_path, monkeypatch, stream_from):
    monkeypatch.setattr("charrnn.text.corpus.STREAM_FROM", stream_from)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text("cabbage ж", encoding="utf-8")
    for _ in range(2):  # the second time from the cache
        corpus = open_corpus([tmp_path / "a.txt"], vocabulary=Vocabulary("xba"), grow=True)
        assert corpus.vocabulary.symbols == (*"abx", " ", "c", "e", "g", "ж")
        assert corpus.vocabulary.decode(corpus.ids) == "cabbage ж"
    with pytest.raises(VocabularyError):
        open_corpus([tmp_path / "a.txt"], vocabulary=Vocabulary("xba"))


def test_what_is_said_of_the_new_characters():
    assert describe_growth(Vocabulary("ab"), Vocabulary("abж")) == (
        "1 new character beside the 2 that the model knows: 'ж' (U+0436)"
    )
    assert describe_growth(Vocabulary("a"), Vocabulary(LATIN)).endswith("and 17 more")
    assert describe_growth(Vocabulary([1]), Vocabulary([1, 27])).endswith(": byte 0x1B")
    assert describe_growth(Vocabulary("ab"), Vocabulary("ab")) == "no new characters: the model knows all 2 already"


# At the command line


@pytest.fixture(scope="module")
def cyrillic(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("cyrillic") / "cyrillic.txt"
    table = str.maketrans(LATIN + LATIN.upper(), CYRILLIC + CYRILLIC.upper())
    path.write_text(text.read_text().translate(table), encoding="utf-8")
    return path


def test_without_the_flag_the_error_names_characters_and_flag(tmp_path, cyrillic, model):
    result = invoke("train", cyrillic, "--out", tmp_path, "--init-from", model)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "cyrillic.txt, line 1: the model does not know '" in result.stderr
    assert "(U+0" in result.stderr
    assert "--grow-vocabulary" in result.stderr
    assert not (tmp_path / "cyrillic").exists()


def test_a_grown_model_learns_another_alphabet(tmp_path, text, cyrillic, model):
    options = ["--out", tmp_path, "--init-from", model, "--grow-vocabulary", *SMALL[4:], "--lr", 0.02, "--warmup", 0]
    result = succeed("train", cyrillic, *options, "--name", "whole", "--steps", 120, "--sample-every", 0, "--json")
    before = Checkpoint.load(model / "best.safetensors").vocabulary
    assert "new characters beside the" in result.stdout
    after = Checkpoint.load(tmp_path / "whole" / "last.safetensors")
    assert after.vocabulary.symbols[: len(before)] == before.symbols
    assert "щ" in after.vocabulary
    uniform = math.log(len(after.vocabulary))
    found = [each["loss"] for each in map(json.loads, result.stdout.splitlines()) if each["event"] == "step"]
    assert np.mean(found[-10:]) < 0.8 * uniform
    # The text of before can still be read with it.
    assert json.loads(succeed("evaluate", tmp_path / "whole", text, "--json").stdout)["characters"] > 0


def test_a_run_that_grew_is_resumed(tmp_path, cyrillic, model):
    options = ["--out", tmp_path, "--name", "r", "-q", "--sample-every", 0]
    start = ["--init-from", model, "--grow-vocabulary", "--min-count", 5, *SMALL[4:]]
    succeed("train", cyrillic, *options, *start, "--steps", 4)
    assert REPLACEMENT in Checkpoint.load(tmp_path / "r" / "last.safetensors").vocabulary
    succeed("train", cyrillic, *options, "--resume", "--steps", 6)


@pytest.mark.parametrize("extra", [[], ["--unknown", "skip"], ["--resume"]])
def test_the_flag_goes_with_a_model_to_start_from(tmp_path, text, model, extra):
    if extra[:1] == ["--unknown"]:
        extra = [*extra, "--init-from", model]
    result = invoke("train", text, "--out", tmp_path, "--grow-vocabulary", *extra)
    assert result.exit_code == 2
    assert "--grow-vocabulary goes with --init-from and without --unknown" in result.stderr


def test_nothing_to_grow_is_said(tmp_path, text, model):
    arguments = ["--init-from", model, "--grow-vocabulary", *SMALL[4:], "--steps", 1]
    assert "no new characters: the model knows all" in succeed("train", text, "--out", tmp_path, *arguments).stderr
