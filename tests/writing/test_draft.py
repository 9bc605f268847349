"""A draft: its cursor, and undo and redo that lead back and forth to the same texts."""

from hypothesis import given
from hypothesis import strategies as st

from charrnn.writing import draft as drafts
from charrnn.writing.draft import Draft

operations = st.one_of(
    st.tuples(st.just("type"), st.sampled_from("ab \n漢")),
    st.tuples(st.just("insert"), st.text("ab \n漢", max_size=5)),
    st.tuples(st.just("erase"), st.integers(-4, 4)),
    st.tuples(st.just("move"), st.integers(-1, 30)),
)


def apply(draft, name, value):
    """An operation, and the text and the cursor that it should lead to."""
    text, cursor = draft.text, draft.cursor
    getattr(draft, name)(value)
    if name in ("type", "insert"):
        return text[:cursor] + value + text[cursor:], cursor + len(value)
    if name == "move":
        return text, min(max(value, 0), len(text))
    if value > 0:
        return text[: max(cursor - value, 0)] + text[cursor:], max(cursor - value, 0)
    return text[:cursor] + text[cursor - value :], cursor


@given(st.text("ab \n", max_size=10), st.lists(operations, max_size=30))
def test_edits_do_what_they_say_and_undo_and_redo_lead_back_and_forth(text, edits):
    draft, seen = Draft(text), []
    for name, value in edits:
        before = draft.text
        expected = apply(draft, name, value)
        assert (draft.text, draft.cursor) == expected
        if draft.text != before:
            seen.append(draft.text)
    end, back = draft.text, []
    while draft.undo():
        back.append(draft.text)
        assert 0 <= draft.cursor <= len(draft.text)
    assert draft.text == text
    assert all(each in [text, *seen] for each in back)
    forth = []
    while draft.redo():
        forth.append(draft.text)
    assert draft.text == end
    assert forth == [*back[-2::-1], end] if back else forth == []


def typed(text, draft=None):
    draft = draft or Draft()
    for character in text:
        draft.type(character)
    return draft


def test_typing_is_undone_word_by_word():
    draft = typed("the red fox")
    texts = []
    while draft.undo():
        texts.append(draft.text)
    assert texts == ["the red ", "the ", ""]


def test_erasing_is_undone_together_and_a_move_begins_anew():
    draft = Draft("the fox")
    for _ in range(3):
        draft.erase(1)
    draft.undo()
    assert (draft.text, draft.cursor) == ("the fox", 7)
    draft.move(0)
    draft.erase(-1)
    draft.erase(-1)
    assert draft.text == "e fox"
    draft.undo()
    assert (draft.text, draft.cursor) == ("the fox", 0)
    typed("a", draft).move(0)
    typed("b", draft).undo()
    assert draft.text == "athe fox"


def test_a_new_edit_forgets_what_was_undone():
    draft = typed("ab")
    draft.undo()
    draft.insert("c")
    assert not draft.redo()
    assert draft.text == "c"


def test_the_history_is_bounded(monkeypatch):
    monkeypatch.setattr(drafts, "MOST_EDITS", 5)
    monkeypatch.setattr(drafts, "MOST_CHARACTERS", 100)
    draft = Draft()
    for _ in range(20):
        draft.insert("x")
    assert len(draft._done) == 5
    for _ in range(5):
        draft.insert("y" * 40)
    assert draft._kept == 80
    assert sum(len(edit.inserted) for edit in draft._done) == 80
    for _ in range(9):
        draft.undo()
    assert draft._kept == 80
