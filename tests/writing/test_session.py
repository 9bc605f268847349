"""A session says what a fresh session on the same text says, to the bit, whatever was edited before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing_models import SYMBOLS, TEXT, model, same

from charrnn.errors import ConfigError
from charrnn.inference.sampler import Choice
from charrnn.writing import session as sessions
from charrnn.writing.session import Session, _begin_in_utf8

KINDS = ("lstm", "gru", "rnn", "transformer", "bytes", "mixture", "ensemble")
MODELS = {}
CHOICE = Choice(0.9)

pieces = st.text(st.sampled_from([*SYMBOLS, "\t", "🦊", "ß"]), max_size=6)
operations = st.one_of(
    st.tuples(st.just("type"), st.sampled_from([*SYMBOLS, "🦊"])),
    st.tuples(st.just("insert"), pieces),
    st.tuples(st.just("erase"), st.integers(-40, 40)),
    st.tuples(st.just("move"), st.integers(0, 900)),
    st.tuples(st.sampled_from(("undo", "redo", "word", "character", "look", "prepare", "values")), st.just(0)),
)


def of(kind):
    if kind not in MODELS:
        MODELS[kind] = model(kind)
    return MODELS[kind]


def do(session, name, value):
    draft = session.draft
    if name in ("type", "insert", "erase", "move"):
        getattr(draft, name)(value)
    elif name in ("undo", "redo"):
        getattr(draft, name)()
    elif name == "word":
        session.take_word()
    elif name == "character":
        session.take_character()
    elif name == "look":
        session.log_probabilities()
    elif name == "prepare":
        session.prepare(64)
    else:
        session.values(0, len(draft.text), 64)


def says(session):
    """All that a session says."""
    draft = session.draft
    while session.values(0, len(draft.text), 10_000)[1]:
        pass
    return {
        "ids": session.ids(),
        "log_probabilities": session.log_probabilities(),
        "guesses": session.guesses(),
        "continuations": [session.continuation(number) for number in (0, 1, 2)],
        "word": session.word(1),
        "values": session.values(0, len(draft.text), 10_000)[0],
        "unknown": session.unknown_characters,
    }


def require_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        is_array = isinstance(value, np.ndarray)
        assert same(value, other[name]) if is_array else value == other[name], name


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(st.lists(operations, max_size=12), st.sampled_from(("replace", "skip")), st.booleans())
def test_any_edits_give_what_a_fresh_session_on_the_same_text_gives(kind, edits, unknown, is_long):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "LEAST", 10)
        patch.setattr(sessions, "MOST", 110)
        how = {"choice": CHOICE, "seed": 5, "length": 12, "unknown": unknown}
        session = Session(of(kind), TEXT * (7 if is_long else 1), **how)
        session.number = 1
        if kind != "ensemble":
            session.show((1, 3))
        for name, value in edits:
            do(session, name, value)
        fresh = Session(of(kind), session.draft.text, session.draft.cursor, **how)
        fresh.number = 1
        if kind != "ensemble":
            fresh.show((1, 3))
        require_same(says(session), says(fresh))


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_text_is_continued_as_sample_continues_it(kind):
    session = Session(of(kind), TEXT, length=30)
    written = of(kind).sample(session.draft.text, 30, temperature=0)
    assert session.continuation(0) == (written if isinstance(written, str) else _begin_in_utf8(written))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ensemble"])
def test_values_are_those_of_the_python_interface(kind):
    session, text = Session(of(kind), TEXT + "é漢"), TEXT + "é漢"
    signal = of(kind).network.cell.signals[0]
    session.show((1, 3))
    found, left = session.values(10, len(text), 10_000)
    expected = of(kind).activations(text)[signal.name][:, 1, 3]
    if kind == "bytes":  # a character has the value after its last byte
        ends = np.cumsum([len(each.encode()) for each in text]) - 1
        expected = expected[ends]
    assert not left
    assert same(found, (np.tanh(expected) if signal.unbounded else expected)[10:])


@pytest.mark.parametrize("kind", ["lstm", "bytes", "transformer"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_taking_a_part_of_a_continuation_leaves_the_rest(kind, number):
    session = Session(of(kind), TEXT, choice=CHOICE, seed=3, length=40)
    session.number = number
    whole = session.continuation()
    while len(session.draft.text) - len(TEXT) + 5 < len(whole):
        if not session.take_word():
            session.take_character()
    taken = session.draft.text[len(TEXT) :]
    assert whole.startswith(taken[: len(whole)])
    assert (taken + session.continuation()).startswith(whole)


def test_continuations_depend_on_text_seed_temperature_and_number():
    base = {"text": TEXT, "seed": 3, "temperature": 1.0, "number": 1}

    def written(**changes):
        about = base | changes
        session = Session(of("lstm"), about["text"], choice=Choice(about["temperature"]), seed=about["seed"])
        return session.continuation(about["number"])

    assert written() == written()
    others = [{"text": TEXT + "x"}, {"seed": 4}, {"temperature": 3.0}, {"number": 2}]
    assert all(written(**change) != written() for change in others)
    assert written(number=0) == written(number=0, seed=9, temperature=5.0)


def test_filters_apply_to_what_is_drawn():
    greedy = Session(of("lstm"), TEXT, choice=Choice(2.0, top_k=1))
    assert greedy.continuation(1) == greedy.continuation(0)


@pytest.mark.parametrize(
    ("continuation", "word"),
    [(" morning, fox", " morning,"), ("ing fox", "ing"), ("\n\nfox", "\n"), ("  \nfox", "  "), ("", "")],
)
def test_a_word_of_a_continuation(monkeypatch, continuation, word):
    session = Session(of("lstm"), TEXT)
    monkeypatch.setattr(session, "continuation", lambda number=None, length=None: continuation)
    assert (session.take_word(), session.take_character()) == (word, continuation[:1])
    assert session.draft.text == TEXT + word + continuation[:1]


def test_guesses_are_sorted_and_probable():
    guesses = Session(of("lstm"), TEXT).guesses(len(SYMBOLS))
    chances = [guess.probability for guess in guesses]
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1)
    assert {guess.character for guess in guesses} == set(SYMBOLS)
    named = {guess.character for guess in Session(of("bytes"), TEXT).guesses(256)}
    assert {"a", "\n", "0xE2"} <= named


def test_unknown_characters_stay_in_the_text_and_are_read_as_the_option_says():
    text = "the ßßfox"
    replaced, skipped = (Session(of("lstm"), text, unknown=how) for how in ("replace", "skip"))
    assert replaced.draft.text == skipped.draft.text == text
    assert replaced.unknown_characters == 2
    assert same(replaced.ids(), of("lstm").prime(text, "replace"))
    assert same(skipped.ids(), of("lstm").prime("the fox"))
    skipped.show((0, 0))
    assert list(np.isnan(skipped.values(0, len(text), 1000)[0])) == [each == "ß" for each in text]


def test_an_empty_text_begins_as_a_line_does():
    session = Session(of("lstm"), "")
    assert list(session.ids()) == [of("lstm").vocabulary.line_start]
    assert session.continuation(0) == of("lstm").sample("", 40, temperature=0)
    session.show((0, 0))
    assert session.values(0, 0, 100)[0].size == 0


@pytest.mark.parametrize("letters", [SYMBOLS, ["a"], ["a", "b"]])
def test_the_beginning_of_what_is_read_moves_seldom_and_depends_on_the_text_alone(letters):
    rng = np.random.default_rng(1)
    text = "".join(rng.choice(letters, 20_000))
    session = Session(of("lstm"), text)
    places = range(session.most + 1, 20_000, 7)
    origins = [session.origin(place) for place in places]
    for place, origin in zip(places, origins, strict=True):
        assert session.least <= place - origin <= session.most
    assert len(set(origins)) < 60
    if letters == SYMBOLS:  # an insertion far above moves it by as much
        moved = Session(of("lstm"), "ab" + text)
        assert [moved.origin(place + 2) - 2 for place in places] == origins


def test_reading_goes_on_in_slices_and_reads_ahead():
    session = Session(of("lstm"), TEXT * 60)
    assert not session.ready(100)
    calls = 1
    while not session.ready(100):
        calls += 1
    assert calls == len(session.ids()) // 96 - (len(session.ids()) % 96 == 0)
    while session.prepare(1000):
        pass
    for place in (len(session.draft.text), len(session.draft.text) - 3000):
        session.draft.move(place)
        assert session.states.unread(session.ids()) == 0


def test_states_stay_within_their_budget_and_what_was_dropped_is_read_again():
    session = Session(of("transformer"), TEXT * 60)
    states = sessions.States(of("transformer"), session.most, budget=20 * session.states._size)
    ids = session.ids()
    before = states.before_last(ids)
    for start in range(0, 800, 37):
        states.before_last(ids[start:])
    assert len(states._states) <= 20
    again = states.before_last(ids)
    assert all(same(before[name], again[name]) for name in before.arrays)


def test_a_cell_that_is_not_there_and_an_ensemble():
    session = Session(of("lstm"), TEXT)
    for cell in ((2, 0), (0, 24), (-1, 0)):
        with pytest.raises(ConfigError, match="there is no cell"):
            session.show(cell)
    with pytest.raises(ConfigError, match="signal must be one of"):
        session.show((0, 0), "z")
    with pytest.raises(ConfigError, match="an ensemble has no cells"):
        Session(of("ensemble"), TEXT).show((0, 0))
    session.show((0, 0), "f")
    assert session.shown.signal.name == "f"
    session.show(None)
    assert np.isnan(session.values(0, 5, 100)[0]).all()


def test_bytes_that_are_not_utf_8_end_a_continuation():
    assert _begin_in_utf8("fox 漢".encode()[:-1]) == "fox "
    assert _begin_in_utf8(b"\xff fox") == ""
    assert _begin_in_utf8("é".encode()) == "é"
