"""Tests of reading JSON from strangers, and of showing values from it in messages."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.errors import brief
from charrnn.system import strict_json

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e308, 1e308) | st.text()
ANY_JSON = st.deferred(
    lambda: LEAVES | st.lists(ANY_JSON, max_size=4) | st.dictionaries(st.text(), ANY_JSON, max_size=4)
)


@given(ANY_JSON)
def test_strict_json_reads_what_json_writes(value):
    assert strict_json.parse(json.dumps(value)) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.text(alphabet='{}[]",:0123456789.eE+-NaInfity\\u \n\t'))
def test_strict_json_accepts_nothing_that_json_refuses(text):
    try:
        value = strict_json.parse(text)
    except ValueError:
        return
    assert json.loads(text) == value


@settings(max_examples=20)
@given(ANY_JSON | st.binary() | st.integers())
def test_what_is_shown_of_a_value_is_short_and_one_line(value):
    assert brief(value).isprintable()
    assert len(brief([value] * 1000)) <= 81


def test_a_number_of_any_size_can_be_shown():
    assert brief(10**5000) == brief(-(1 << 60_000)) == "a huge number"
    assert brief(10**20) == "100000000000000000000"
