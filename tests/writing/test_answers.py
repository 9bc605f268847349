"""The server's answers: one for each request, an error for each that is not one, and never an exception."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing_models import TEXT, model

from charrnn.writing.answers import LONGEST_LINE, Answers, cell_of
from charrnn.writing.session import Session

MODEL = model("lstm")


@pytest.fixture
def ask():
    answers = Answers(Session(MODEL, TEXT, length=10))
    return lambda **request: answers.answer(json.dumps(request).encode())


def test_info(ask):
    found = ask(op="info", id="a")
    assert (found["id"], found["protocol"]) == ("a", 1)
    assert found["model"]["cell"] == "lstm"
    assert found["model"]["signals"] == ["c", "h", "i", "f", "g", "o"]
    assert found["settings"]["length"] == 10
    bytes_model = Answers(Session(model("ensemble"), "")).answer(b'{"op":"info"}')
    assert bytes_model["model"]["signals"] == []


def test_text_and_edit(ask):
    assert ask(op="text", text="the fox") == {"id": None, "length": 7, "cursor": 7}
    assert ask(op="text", cursor=3, id=1) == {"id": 1, "length": 7, "cursor": 3}
    assert ask(op="edit", insert=" red") == {"id": None, "length": 11, "cursor": 7}
    assert ask(op="edit", at=0, remove=4, insert="a ", cursor=0) == {"id": None, "length": 9, "cursor": 0}
    fresh = Answers(Session(MODEL, "a red fox", length=10))
    ask(op="text", cursor=9)
    assert ask(op="continue") == fresh.answer(b'{"op":"continue"}')


def test_continue_says_what_the_session_says(ask):
    found = ask(op="continue", count=3, first=1, seed=4, temperature=2, top_k=5, length=20, guesses=2)
    session = Session(MODEL, TEXT, seed=4, length=20)
    session.choice = session.choice.__class__(2.0, 5)
    assert [each["number"] for each in found["candidates"]] == [1, 2, 3]
    assert [each["text"] for each in found["candidates"]] == [session.continuation(number) for number in (1, 2, 3)]
    assert [each["word"] for each in found["candidates"]] == [session.word(number) for number in (1, 2, 3)]
    assert found["guesses"] == [vars(guess) for guess in session.guesses(2)]
    assert found["unknown"] == 0
    assert ask(op="continue") == ask(op="continue", seed=0, temperature=1, top_k=0, length=10, count=1, guesses=5)


def test_one_request_is_enough_for_an_editor_without_a_state(ask):
    found = ask(op="continue", text="the fox", cursor=3)
    assert (found["length"], found["cursor"]) == (7, 3)
    assert found["candidates"][0]["text"] == Session(MODEL, "the", length=10).continuation()


def test_cells(ask):
    found = ask(op="cells", cells=["0:3", "1:2"], signal="f", first=5, last=9)
    session = Session(MODEL, TEXT)
    session.show((1, 2), "f")
    assert (found["signal"], found["low"], found["first"]) == ("f", 0, 5)
    assert found["values"]["1:2"] == [float(each) for each in session.values(5, 9, 1000)[0]]
    assert ask(op="cells", cells=["0:3"])["signal"] == "c"
    assert ask(op="cells", text="ß", cells=["0:3"])["values"]["0:3"] != [None]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "op is missing"),
        ({"op": 3}, "op must be a string, not 3"),
        ({"op": "stop"}, "op must be one of info, text, edit, continue, cells"),
        ({"op": "info", "x": 1}, "unknown: 'x'"),
        ({"op": "text", "text": 3}, "text must be a string"),
        ({"op": "text", "text": "\ud800"}, "half a character"),
        ({"op": "text", "cursor": -1}, "cursor must be from 0 to 102"),
        ({"op": "text", "cursor": True}, "cursor must be a whole number, not True"),
        ({"op": "text", "text": "a", "cursor": 2}, "cursor must be from 0 to 1"),
        ({"op": "edit", "at": 103}, "at must be from 0 to 102"),
        ({"op": "edit", "at": 100, "remove": 4}, "remove must be from 0 to 2"),
        ({"op": "edit", "insert": "\udcff"}, "half a character"),
        ({"op": "continue", "count": 101}, "count must be from 0 to 100"),
        ({"op": "continue", "temperature": -1}, "the temperature must be 0 (greedy) or more"),
        ({"op": "continue", "temperature": "1"}, "temperature must be a number or a whole number"),
        ({"op": "continue", "top_p": 0}, "top-p must be above 0"),
        ({"op": "continue", "length": 0}, "length must be from 1"),
        ({"op": "continue", "seed": 2**63}, "seed must be from 0"),
        ({"op": "cells"}, "cells is missing"),
        ({"op": "cells", "cells": []}, "cells must be a list of 1 to"),
        ({"op": "cells", "cells": ["1"]}, "'1' is not LAYER:UNIT"),
        ({"op": "cells", "cells": [[1]]}, "[1] is not LAYER:UNIT"),
        ({"op": "cells", "cells": ["9:9"]}, "there is no cell 9:9"),
        ({"op": "cells", "cells": ["0:0"], "signal": "q"}, "signal must be one of"),
        ({"op": "cells", "cells": ["0:0"], "first": 5, "last": 4}, "first must be from 0 to 4"),
    ],
)
def test_a_request_that_cannot_be_met_changes_nothing(ask, request_, message):
    before = ask(op="continue")
    found = ask(**request_, id=7)
    assert found.keys() == {"id", "error"}
    assert found["id"] == 7
    assert message in found["error"]
    assert "\n" not in found["error"]
    assert ask(op="continue") == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "a request is a JSON object in one line"),
        (b"nonsense", "a request is a JSON object in one line"),
        (b"[1]", "a request is a JSON object, not [1]"),
        (b"\xff{}", "not UTF-8"),
        (b'{"op":"info","op":"info"}', "the key 'op' comes twice"),
        (b'{"op":"continue","temperature":NaN}', "NaN is not JSON"),
        (b'{"op":"continue","temperature":1e999}', "too large"),
        (b'{"op":"continue","seed":' + b"9" * 5000 + b"}", "too large"),
        (b'{"op":' + b"[" * 100_000, "nested too deeply"),
        (b'{"id":{},"op":"info"}', "id must be a string or a whole number or null"),
    ],
)
def test_a_line_that_is_no_request(line, message):
    found = Answers(Session(MODEL, TEXT)).answer(line)
    assert found["id"] is None
    assert message in found["error"]


def test_a_line_that_is_too_long():
    assert "at most" in Answers(Session(MODEL, "")).answer(b" " * (LONGEST_LINE + 1))["error"]


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["0:3", "c"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
names = st.sampled_from(
    ["id", "text", "cursor", "at", "remove", "insert", "count", "first", "last", "cells", "signal", "seed", "x"]
)
requests = st.builds(
    lambda op, others: {"op": op, **others},
    st.one_of(st.sampled_from(["info", "text", "edit", "continue", "cells"]), values),
    st.dictionaries(names, st.one_of(st.integers(0, 40), values), max_size=4),
)


@settings(max_examples=200)
@given(st.lists(st.one_of(requests.map(lambda each: json.dumps(each).encode()), st.binary(max_size=40)), max_size=5))
def test_any_lines_are_answered_and_leave_a_session_that_works(lines):
    session = Session(MODEL, TEXT, length=3)
    answers = Answers(session)
    for line in lines:
        found = answers.answer(line)
        assert isinstance(found, dict)
        assert "id" in found
        json.dumps(found)
        assert 0 <= session.draft.cursor <= len(session.draft.text)
    assert "error" not in answers.answer(b'{"op":"continue"}')


@pytest.mark.parametrize("name", ["", ":", "1:", "-1:2", "1:2:3", "1.0:2", "٣:1", "1:99999999999", 3, None, "1: 2"])
def test_names_that_are_no_cells(name):
    with pytest.raises(Exception, match="is not LAYER:UNIT"):
        cell_of(name)
    assert cell_of("1:37") == (1, 37)
