"""Random regular expressions, and what an automaton says of a text."""

import warnings

from hypothesis import strategies as st

ALPHABET = "abcé漢🦊1 \n.-]٣_"

_ATOMS = (
    *("a", "b", "c", "é", "漢", "🦊", "1", " ", "-", "]", "{", "}", ".", r"\.", r"\n", r"\x61", r"\u00e9", r"\101"),
    *(r"\N{LATIN SMALL LETTER A}", r"\U0001f98a", r"\-", r"\_", r"\é", r"\d", r"\D", r"\s", r"\S", r"\w", r"\W"),
    *(
        "[ab]",
        "[^a]",
        "[a-c1]",
        r"[\w-]",
        r"[^\s\d]",
        "[]a]",
        "[^]]",
        r"[\]a-]",
        r"[\n-a]",
        "[🦊-🦋é]",
        r"[\Wa]",
        r"[^\W]",
    ),
)
_COUNTS = ("*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{,2}", "{1,}", "{1,2}?", "{0}", "{,}")


def expressions(longest=12):
    """Expressions that are supported, over characters of ALPHABET and others."""

    def longer(inner):
        several = st.lists(inner, max_size=3)
        return st.one_of(
            several.map("".join),
            several.map(lambda parts: f"({'|'.join(parts)})"),
            several.map(lambda parts: f"(?:{'|'.join(parts)})"),
            st.tuples(inner, st.sampled_from(_COUNTS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
            inner.map(lambda part: rf"{part}(?#a comm\)ent)"),
        )

    body = st.recursive(st.sampled_from(_ATOMS), longer, max_leaves=longest)
    return st.one_of(body, body.map(lambda each: f"^(?:{each})$"), st.tuples(body, body).map("|".join))


def fragments():
    """Any sequences of pieces of expressions, most of which are none."""
    signs = (
        *"()[]{}|*+?^$\\.-,:<>=!#PNxuU019abB é",
        "(?:",
        "(?P<a>",
        "{1,2}",
        "(?=",
        "(?i)",
        r"\d",
        "[^",
        r"\1",
        "(?#",
    )
    return st.lists(st.sampled_from((*signs, *_ATOMS, *_COUNTS)), max_size=9).map("".join)


def compiled(expression):
    """Python's compiled expression, without its warnings about what may mean something else one day."""
    import re

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(expression)


def accepts(automaton, ids):
    """Whether a text of these ids may end behind them."""
    state = automaton.read(ids)
    return state >= 0 and automaton.distance[state] == 0
