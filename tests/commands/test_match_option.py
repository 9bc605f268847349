"""``charrnn sample --match`` and ``--without``: texts that obey, and how much they were forced."""

import json
import re
import shutil

import pytest
from command_line import SMALL, invoke, succeed

from charrnn.checkpoints.checkpoint import Checkpoint


@pytest.fixture(scope="module")
def byte_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    text = folder / "bytes.txt"
    text.write_text("Füchse fangen 12 Gänse. 漢字 🦊\n" * 200, "utf-8")
    succeed("train", text, "--out", folder, "--name", "bytes", "--bytes", *SMALL, "--steps", 20, "-q")
    return folder / "bytes"


def masked(stderr):
    """The share, the bits and the choices of the line on stderr."""
    share, bits, choices = re.search(
        r"^Masked: ([\d.]+)% of a choice's probability on average; ([\d.,]+) bits in ([\d,]+) choices$", stderr, re.M
    ).groups()
    return float(share), float(bits.replace(",", "")), int(choices.replace(",", ""))


def refused(*arguments, status=1):
    """The last line of a command that fails."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (status, ""), result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1].removeprefix("Error: ")


def test_a_text_that_matches(model):
    expression = r"[A-Z][a-z ,]{5,40}\."
    found = succeed("sample", model, "--match", expression, "--seed", 5)
    assert re.fullmatch(expression, found.stdout)
    share, bits, choices = masked(found.stderr)
    assert 0 < share < 100
    assert bits > 0
    assert choices == len(found.stdout)
    again = succeed("sample", model, "--match", expression, "--seed", 5, "--threads", 1, "-q")
    assert (again.stdout, again.stderr) == (found.stdout, "")


def test_the_length_is_kept(model):
    for length in (3, 20, 57):
        found = succeed("sample", model, "--match", r"([^\n]|\n)*!!", "--length", length, "--seed", 1)
        assert len(found.stdout) <= length
        assert found.stdout.endswith("!!")
    assert "shortest text that matches has 2 characters" in refused("sample", model, "--match", "!!", "-n", 1)


def test_json_has_how_much_was_masked(model):
    result = succeed("sample", model, "--match", "[a-z ]{9}!", "--count", 3, "--json", "--seed", 5)
    texts = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(re.fullmatch("[a-z ]{9}!", text["text"]) for text in texts)
    assert all(0 < text["masked"] < 1 < text["masked_bits"] for text in texts)
    share, bits, choices = masked(result.stderr)
    assert choices == 30
    assert abs(bits - sum(text["masked_bits"] for text in texts)) < 0.1
    assert abs(share / 100 - sum(text["masked"] for text in texts) / 3) < 0.001
    plain = succeed("sample", model, "--json", "-n", 5, "--seed", 5)
    assert "masked" not in json.loads(plain.stdout)
    assert plain.stderr == ""


def test_several_texts_and_temperatures(model):
    several = succeed("sample", model, "--match", "[a-z]{4,30}", "--count", 4, "--seed", 2).stdout.split("\n---\n")
    assert len(several) == 4
    assert all(re.fullmatch("[a-z]{4,30}", each) for each in several)
    compared = succeed("sample", model, "--match", "[a-z]{12}", "--compare", "0.5,2", "--seed", 2, "--json").stdout
    assert [len(json.loads(line)["text"]) for line in compared.splitlines()] == [12, 12]


def test_characters_left_out(model):
    found = succeed("sample", model, "--without", r"eE\n", "--length", 300, "--seed", 5)
    assert len(found.stdout) == 300
    assert not set("eE\n") & set(found.stdout)
    assert masked(found.stderr)[2] == 300
    both = succeed("sample", model, "--without", "e", "--match", r"[a-z ]+\.", "--seed", 1).stdout
    assert re.fullmatch(r"[a-df-z ]+\.", both)
    assert succeed("sample", model, "--without", "☃", "-n", 50, "--seed", 1).stdout == (
        succeed("sample", model, "-n", 50, "--seed", 1).stdout
    )


def test_lines_that_match(model):
    found = succeed("sample", model, "--lines", 12, "--match", "[A-Z][a-z]{2,8}", "--seed", 1)
    lines = found.stdout.splitlines()
    assert len(set(lines)) == 12
    assert all(re.fullmatch("[A-Z][a-z]{2,8}", line) for line in lines)
    assert masked(found.stderr)[2] >= sum(map(len, lines))
    assert (
        succeed("sample", model, "--lines", 3, "--match", "[A-Z][a-z]{2,8}", "--seed", 1).stdout.splitlines()
        == lines[:3]
    )
    primed = succeed("sample", model, "--lines", 3, "--match", "The [a-z]+", "--prime", "The ", "--seed", 1)
    assert all(re.fullmatch("The [a-z]+", line) for line in primed.stdout.splitlines())
    without = succeed("sample", model, "--lines", 3, "--without", "e", "--seed", 1).stdout
    assert len(without.splitlines()) == 3
    assert "e" not in without


def test_a_language_of_few_lines(model):
    found = succeed("sample", model, "--lines", 9, "--match", "[ab]", "--seed", 1, "-t", 3)
    assert sorted(found.stdout.splitlines()) == ["a", "b"]
    assert "2 of 9 lines: nearly all others were empty or there already" in found.stderr


def test_models_of_bytes_write_utf8(byte_model):
    for seed in range(5):
        found = succeed("sample", byte_model, "--match", r"\w{5}[漢🦊é]+", "-n", 40, "--seed", seed).stdout
        assert re.fullmatch(r"\w{5}[漢🦊é]+", found)
    without = succeed("sample", byte_model, "--without", "ä漢", "-n", 400, "--seed", 1, "-t", 0.5)
    assert not {"ä", "漢"} & set(without.stdout)
    lines = succeed("sample", byte_model, "--lines", 4, "--match", "[A-ZÄ][a-zäöü]{3}", "--seed", 1).stdout.splitlines()
    assert all(re.fullmatch("[A-ZÄ][a-zäöü]{3}", line) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--match", "a(?=b)"), "at character 2: look-ahead"),
        (("--match", "(a"), "without its )"),
        (("--match", "€+"), "the model does not know '€' (U+20AC)"),
        (("--match", "(a|b)*a(a|b){20}"), "needs more than 10,000 states"),
        (("--match", "\udcff"), "UTF-8"),
        (("--match", "a\\nb", "--lines", 3), "no line matches"),
        (("--match", "b+", "--lines", 3, "--prime", "a"), "begins with the prime"),
        (("--match", "e", "--without", "e"), "without 'e'"),
    ],
)
def test_what_cannot_be_is_one_line(model, arguments, message):
    line = refused("sample", model, *arguments)
    assert message in line


@pytest.mark.parametrize(
    "arguments",
    [("--match", "a", "--stop", "b"), ("--lines", 3, "--without", "\\n"), ("--lines", 3, "--without", "\n")],
)
def test_options_that_contradict_each_other(model, arguments):
    assert "leave" in refused("sample", model, *arguments, status=2)


def test_every_character_left_out(model):
    every = "".join(each for each in Checkpoint.load(model / "best.safetensors").vocabulary.symbols if each != "\\")
    assert "nothing is left" in refused("sample", model, "--without", every + "\\\\")


def test_the_old_spelling_is_answered(model):
    assert refused("sample", model, "--novel", status=2).endswith("sample CHECKPOINT --lines N --unlike")


def test_a_model_without_a_newline(tmp_path):
    text = tmp_path / "letters.txt"
    text.write_text("abcde fghij " * 300)
    succeed("train", text, "--out", tmp_path, "--name", "letters", *SMALL, "--steps", 10, "-q")
    assert len(succeed("sample", tmp_path / "letters", "--match", "[a-e ]*", "-n", 33, "--seed", 1).stdout) == 33
    assert "no line end" in refused("sample", tmp_path / "letters", "--lines", 3, "--match", "[a-e ]*")


def test_with_another_model(model, tmp_path):
    shutil.copytree(model, tmp_path / "other")
    alone = succeed("sample", model, "--match", "[A-Z][a-z ]{3,40}[.]", "--seed", 1).stdout
    both = succeed("sample", model, "--with", tmp_path / "other", "--match", "[A-Z][a-z ]{3,40}[.]", "--seed", 1).stdout
    assert re.fullmatch("[A-Z][a-z ]{3,40}[.]", both)
    assert both == alone  # the mean of a model with itself
