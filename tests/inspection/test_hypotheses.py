"""What cells might keep track of, character by character."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import ConfigError
from charrnn.inspection.hypotheses import HYPOTHESES, LIMIT, hypothesis, label_passages, label_text
from charrnn.inspection.masks import read_mask
from charrnn.inspection.passage import EncodedText, Passage
from charrnn.inspection.patterns import inside_match, spans
from charrnn.text.vocabulary import Vocabulary


def signs(name, text):
    """The labels of ``text`` as a string: 1 and . for a mask, digits for numbers below ten."""
    values = hypothesis(name).label(Passage.from_string(text))
    return "".join(("1" if value else ".") if values.dtype == bool else str(int(value)) for value in values)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("quotes", 'a "bc" d', "..111..."),
        ("quotes", "a “bc” «d» „ef“ g", "..111..11..111..."),
        ("quotes", '5" x\n\n"ab" c', ".1111.111..."),
        ("brackets", "a(b[c])d)e(", "01122100001"),
        ("brackets", "((\n\n(a)", "1220110"),
        ("brackets", "((\r\n\r\n(a)", "122220110"),
        ("column", "ab\ncd\n", "120120"),
        ("indent", "  a\n\tb c\nd", "1220444400"),
        ("comment", "x # y\nz a#b", "..111......"),
        ("comment", "a /* b\n */ c http://d", "..11111111..........."),
        ("word", "I don't 'go'", "1.11111..11."),
        ("word-position", "ab, cde", "1200123"),
        ("upper", "aBÄ1", ".11."),
        ("digit", "a12b", ".11."),
        ("sentence-end", 'No.  "Yes!" he', "..1111...111.."),
        ("url", "see https://a.b/c, x", "....11111111111111.."),
        ("tag", "a < b <p c='d'>e</p>", "......11111111..111."),
    ],
)
def test_labels(name, text, expected):
    assert signs(name, text) == expected


def test_the_part_of_a_line():
    found = hypothesis("line").label(Passage.from_string("ab\nc\nde"))
    np.testing.assert_allclose(found, np.array([2, 4, 0, 3, 0, 2, 4]) / 6)


def test_a_stray_quotation_mark_does_not_turn_round_the_rest():
    text = 'a stray " here' + "x" * LIMIT + ' and "this" is said'

    assert signs("quotes", text).count("1") == LIMIT + len('"this')


@given(st.text(st.sampled_from('a "“”„([)]\n.é<>/#'), max_size=60))
def test_every_hypothesis_labels_every_character(text):
    for each in HYPOTHESES:
        values = each.label(Passage.from_string(text))
        assert values.shape == (len(text),)
        assert (values.dtype == bool) == each.is_mask
        assert np.isfinite(values).all()
        assert not len(text) or values.min() >= 0


@given(st.text(st.sampled_from("ab([)]\n"), max_size=60))
def test_bracket_depth_is_what_counting_gives(text):
    depth, expected = 0, []
    for place, sign in enumerate(text):
        depth = 0 if text[max(place - 1, 0) : place + 1] == "\n\n" else depth
        depth = max(depth + (sign in "([") - (sign in ")]"), 0)
        expected.append(depth)
    assert hypothesis("brackets").label(Passage.from_string(text)).tolist() == expected


def test_parts_are_labelled_as_the_whole(monkeypatch):
    text = 'He (she) said: "no [so]."\n  # a <b>\n' * 400
    vocabulary = Vocabulary(sorted(set(text)))
    ids = vocabulary.encode(text)
    whole = [label_text(EncodedText(vocabulary, ids), each) for each in HYPOTHESES]
    encoded = EncodedText(vocabulary, ids)
    monkeypatch.setattr(encoded, "parts", lambda: EncodedText.parts(encoded, 1111))
    for each, expected in zip(HYPOTHESES, whole, strict=True):
        np.testing.assert_array_equal(label_text(encoded, each), expected, each.name)


def test_bytes_are_the_characters_of_their_numbers():
    encoded = EncodedText(Vocabulary(range(256)), np.frombuffer(b'\xff "a" b', np.uint8))
    assert label_text(encoded, hypothesis("quotes")).tolist() == [False, False, True, True, False, False, False]


def test_an_unknown_name():
    with pytest.raises(ConfigError, match="did you mean 'quotes'"):
        hypothesis("quoets")
    with pytest.raises(ConfigError, match="there are quotes, brackets"):
        hypothesis("zzz")


def test_where_a_pattern_matches():
    assert inside_match("b+|x*").label(Passage.from_string("abba")).tolist() == [False, True, True, False]
    assert spans("(?s)a.", "a\ud800 a☃").tolist() == [[0, 2], [3, 5]]
    assert spans(r"\([^()]*\)|$", "a (b", "", "c) (☃)").tolist() == [[7, 10]]


def test_a_pattern_that_would_never_end_is_stopped():
    begun = time.monotonic()
    with pytest.raises(ConfigError, match=r"did not finish in 0\.5 s"):
        spans("(a+)+$", "a" * 40 + "b", seconds=0.5)
    assert time.monotonic() - begun < 60  # it would need about 10**12 seconds


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "(?P<a>b)(?P<a>c)", "[z-a]"])
def test_an_invalid_pattern_is_refused(pattern):
    with pytest.raises(ConfigError, match="not a regular expression") as raised:
        inside_match(pattern)
    assert "\n" not in str(raised.value)


def npy(header):
    """A .npy file with a header and no data."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def array_header(kind, shape):
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize("content", [b"0 1 1 0", b"0110", b"01\n10\n", b"0.0\n1.0\n1\n0"])
def test_a_mask_as_text(tmp_path, content):
    path = tmp_path / "mask.txt"
    path.write_bytes(content)
    mask = read_mask(path, 4)
    assert mask.is_mask
    assert mask.label(Passage.from_string("abc", start=1)).tolist() == [True, True, False]


@pytest.mark.parametrize("kind", ["f8", ">f4", "f2"])
def test_a_mask_of_numbers(tmp_path, kind):
    np.save(tmp_path / "mask.npy", np.array([0.5, 2, 1], kind))
    mask = read_mask(tmp_path / "mask.npy", 3)
    assert not mask.is_mask
    assert mask.label(Passage.from_string("abc")).tolist() == [0.5, 2, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0 1", "has 2 values, and the text 4 characters"),
        (b"", "has 0 values"),
        (b"0 1 x 0", "'x' is not a number"),
        (b"0 1 nan 0", "the value of character 2 is not finite"),
        (b"0 1e39 0 0", "the value of character 1 is not finite, or beyond"),
        (b"\x93NUMPY\x01\x00", "not a whole .npy"),
        (npy("("), "not a whole .npy"),
        (npy("(" * 9000), "not a whole .npy"),
        (npy(array_header("<f8", "(4,)")), "not a whole .npy"),
        (npy(array_header("<f8", "(1000000000000,)")), "has 1000000000000 values"),
        (npy(array_header("<f8", f"({10**30},)")), "values, and the text 4 characters"),
        (npy(array_header("<f8", f"({10**4000},)")), "values, and the text 4 characters"),
        (npy(array_header("<f8", "(True,)")), "has True values"),
        (npy(array_header("<f8", "()")), r"the shape \(\)"),
        (npy(array_header("1 1 0>u1", "(4,)")), "not a whole .npy"),
        (npy(array_header("|O", "(4,)")), "has values of type"),
        (npy(array_header("<c8", "(4,)")), "has values of type"),
        (None, "cannot be read"),
    ],
)
def test_a_mask_that_does_not_fit(tmp_path, content, message):
    path = tmp_path / "mask.npy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_mask(path, 4)
    assert str(caught.value).isprintable() and len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize("of", [inside_match(r'"[^"]*"'), hypothesis("quotes")])
def test_many_short_texts_are_labelled_separately(of):
    passages = [Passage.from_string(text) for text in ('"open', "", 'a "b" c', '"')]
    for found, passage in zip(label_passages(passages, of), passages, strict=True):
        np.testing.assert_array_equal(found, of.label(passage))
