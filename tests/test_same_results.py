"""What the program computes is what it computed: see ``recorded.py``, which says how to read a failure."""

import math

import pytest
from recorded import ENTRIES, SAME, recorded

RECORDED = recorded()
RELATIVE, ABSOLUTE = 1e-6, 1e-8  # what processors may differ in, where a number is no hash
ABOUT = 2e-3


def differences(found, expected, path=""):
    """Where two results differ, in words."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() == found.keys() == {"about"}:
            if not _close(found["about"], expected["about"], 0, ABOUT):
                yield f"{path} is about {found['about']}, was {expected['about']}"
            return
        for name in expected.keys() | found.keys():
            if name not in found or name not in expected:
                yield f"{path}/{name} is {'new' if name in found else 'missing'}"
            else:
                yield from differences(found[name], expected[name], f"{path}/{name}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            yield f"{path} has {len(found)} elements, had {len(expected)}"
        for number, (now, before) in enumerate(zip(found, expected, strict=False)):
            yield from differences(now, before, f"{path}/{number}")
    elif type(found) is not type(expected):
        yield f"{path} is {found!r}, was {expected!r}"
    elif isinstance(expected, float):
        if not _close(found, expected, RELATIVE, ABSOLUTE):
            yield f"{path} is {found!r}, was {expected!r}"
    elif found != expected:
        yield f"{path} is {found!r}, was {expected!r}"


def _close(found, expected, relative, absolute):
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=relative, abs_tol=absolute)
    return found == expected


def test_every_entry_is_recorded():
    assert list(ENTRIES) == list(RECORDED)


@pytest.mark.parametrize(("name", "other"), SAME.items())
def test_threads_stops_and_onlookers_change_nothing(name, other):
    found, expected = RECORDED[name], RECORDED[other]
    if isinstance(expected, dict):  # there may be more beside it
        found = {part: found[part] for part in expected}
    assert found == expected


@pytest.mark.parametrize("name", list(ENTRIES))
def test_results_are_those_of_the_record(name):
    different = sorted(differences(ENTRIES[name](), RECORDED[name]))
    assert not different, f"{name}:\n" + "\n".join(different)
