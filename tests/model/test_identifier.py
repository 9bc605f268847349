"""charrnn.identify and charrnn.Identifier."""

import numpy as np
import pytest

import charrnn
from charrnn.errors import CheckpointError, ConfigError, CorpusError
from charrnn.model.held_out import check

TEXTS = {
    "english": "The fox saw the grapes and said: they are sour. A crow sat in the tree with a piece of cheese.\n" * 20,
    "german": "Der Fuchs sah die Trauben und sagte: sie sind sauer. Eine Krähe saß auf dem Baum mit Käse.\n" * 20,
    "french": "Le renard vit les raisins et dit : ils sont trop verts. Un corbeau tenait un fromage.\n" * 20,
}


@pytest.fixture(scope="module")
def languages():
    return charrnn.Identifier.learn(TEXTS)


def test_it_finds_the_language_and_says_how_probable_it_is(languages):
    found = languages.identify("sie sagte: die Krähe sah die Trauben")
    assert found.name == "german" and 0.9 < found.probability <= 1
    assert next(iter(found.probabilities)) == "german" and set(found.probabilities) == {*TEXTS, "none"}
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.characters == 36 and 0 < found.bits < 4
    assert charrnn.identify("they are sour", languages).name == "english"
    assert [each.name for each in charrnn.identify(["the grapes are sour", "ils sont verts"], languages)] == [
        "english",
        "french",
    ]


def test_none_of_them(languages):
    found = languages.identify("xqzv jkwq zzxv qjkx vvqz")
    assert found.name is None and next(iter(found.probabilities)) == "none"
    empty = languages.identify("")
    assert (empty.name, empty.characters, empty.bits) == (None, 0, 0.0)
    assert languages.identify("\n\n").characters == 2


def test_bytes_strings_and_halves_of_characters(languages):
    assert languages.identify("Krähe".encode()) == languages.identify("Krähe")
    for text in (b"\xff\xfe\0", "\ud800 fox", "\udcff", "\0" * 50, "x" * 50_000):
        found = languages.identify(text)
        assert np.isfinite(list(found.probabilities.values())).all()
    assert languages.identify("die Trauben\r\ndie Trauben\r\n").name == "german"


def test_a_text_is_the_sum_of_its_lines_and_company_changes_nothing(languages):
    lines = ["the fox", "der Fuchs und die Krähe", "", "le corbeau", "x" * 5000]
    each = languages.totals(lines)
    np.testing.assert_allclose(languages.totals(["\n".join(lines)])[0], each.sum(axis=0))
    for line, row in zip(lines, each, strict=True):
        np.testing.assert_allclose(languages.totals([line])[0], row, rtol=1e-12)
    many = languages.totals(lines * 500)
    np.testing.assert_allclose(many[:5], each, rtol=1e-12)
    np.testing.assert_array_equal(
        charrnn.Identifier.learn(TEXTS, threads=1).totals(lines),
        charrnn.Identifier.learn(TEXTS, threads=3).totals(lines),
    )
    said = []
    languages.identify_all(lines, lambda done, total: said.append((done, total)))
    assert said[-1][0] == said[-1][1] == len("".join(lines).encode())


def test_saved_and_loaded_it_gives_the_same(languages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    languages.save("checkpoints/tongues.safetensors")
    lines = ["the fox", "die Krähe", "zzz"]
    for name in ("checkpoints/tongues.safetensors", "tongues"):
        found = charrnn.Identifier.load(name)
        assert found.names == languages.names
        np.testing.assert_array_equal(found.totals(lines), languages.totals(lines))
    assert charrnn.identify("the fox saw", "tongues").name == "english"
    assert repr(found) == "<Identifier of 3 models: english, german, french>"


def test_priors_and_temperature(languages):
    own = charrnn.Identifier.learn(TEXTS)
    before = own.identify("die").probabilities
    own.set_prior({"french": 1e9}, none=0.0)
    after = own.identify("die").probabilities
    assert after["none"] == 0 and after["french"] > before["french"]
    assert own.identify("").probabilities["none"] == 0
    own.set_prior(temperature=1000)
    assert max(own.identify("die Trauben").probabilities.values()) < 0.3
    own.set_prior(temperature=1)
    assert own.identify("die Trauben").probability > languages.identify("die Trauben").probability
    for wrong in (
        {"prior": {"latin": 1}}, {"prior": {"french": -1}}, {"prior": {"french": float("nan")}}, {"none": 1.0},
        {"none": -0.1}, {"temperature": 0}, {"temperature": float("inf")}, {"prior": dict.fromkeys(TEXTS, 0)},
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            own.set_prior(**wrong)


def test_networks_of_characters_and_of_bytes_answer_together(model, tmp_path):
    fables = charrnn.load(model)
    numbers = charrnn.train(bytes(range(48, 58)) * 300, hidden=8, steps=60, ngrams="off", threads=1)
    found = charrnn.Identifier({"fables": fables, "numbers": numbers})
    assert found.identify("The fox and the crow").name == "fables"
    assert found.identify("01234567890123456789").name == "numbers"
    assert found.identify("漢字漢字 ωψφ").name is None
    with pytest.raises(ConfigError, match="files of their own"):
        found.save(tmp_path / "a.safetensors")
    assert charrnn.identify("The fox and the crow", {"a": model, "b": numbers}).name == "a"


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="from 1 to"):
        charrnn.Identifier({})
    with pytest.raises(ConfigError, match="must be a Model"):
        charrnn.Identifier({"a": 3})
    with pytest.raises(CheckpointError, match="none of them"):
        charrnn.Identifier.learn({"none": "abc"})
    with pytest.raises(CorpusError, match="is empty"):
        charrnn.Identifier.learn({"a": ""})
    with pytest.raises(CorpusError, match="no text"):
        charrnn.Identifier.learn({})
    with pytest.raises(ConfigError, match="size"):
        charrnn.Identifier.learn({"a": "b"}, size=0)
    with pytest.raises(CorpusError, match="not a folder"):
        charrnn.Identifier.learn(tmp_path / "none")
    with pytest.raises(CheckpointError):
        charrnn.Identifier.load(tmp_path / "none")


def test_held_out_pieces_are_not_learnt():
    """The held-out stretch of each text has words of its own, which its model does not know."""
    stretches = {name: [text.encode()] * 9 for name, text in TEXTS.items()}
    found = check(stretches)
    assert all(each.pieces == each.right > 10 and each.taken_for is None for each in found.values())
    swapped = dict(stretches)
    swapped["french"] = [TEXTS["french"].encode(), TEXTS["german"].encode(), *stretches["french"][2:]]
    other = check(swapped)["french"]
    assert other.right == 0 and other.taken_for == "german"
    assert check({"a": [b"abc"], "b": [b"xyz"]})["a"] == (0, 0, None)


def test_a_list_of_short_lines_recognises_its_own(rng):
    """The ends of lines stay in the pieces: joined by blanks, the lines of a list are like nothing that was learnt."""
    syllables = ["ka", "ri", "no", "el", "an", "to", "mi", "la", "be", "ra"]
    names = ["".join(rng.choice(syllables, size=rng.integers(2, 5))).capitalize() for _ in range(2000)]
    lines = "\n\n".join(names).encode()
    stretches = [lines[place : place + 500] for place in range(0, len(lines), 500)]
    found = check({"names": stretches})["names"]
    assert found.pieces > 10
    assert found.right == found.pieces
