"""Whatever the bytes: accepted, or refused in one short line.  benchmarks/fuzz.py does the same for hours."""

import random

import pytest
from fuzz_targets import TARGETS
from fuzzing import Target
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(st.data())
def test_any_bytes(name, data):
    TARGETS[name](data.draw(st.binary() | st.text().map(str.encode) | st.sampled_from(TARGETS[name].seeds())))


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_what_is_well_formed(name):
    rng, seeds = random.Random(name), TARGETS[name].seeds()
    for seed in seeds:
        TARGETS[name](seed)
    for _ in range(150):
        TARGETS[name](mutated(rng.choice(seeds), rng, seeds))


def test_healthy_seeds_are_accepted():
    for name in ("checkpoint", "header", "description", "vocabulary", "decoder", "fractions", "options", "settings"):
        assert TARGETS[name](TARGETS[name].seeds()[0]), name
    assert [TARGETS["compressed"](seed) for seed in TARGETS["compressed"].seeds()] == [True] * 4 + [False]
    assert TARGETS["compressed_header"](TARGETS["compressed_header"].seeds()[0])
    assert TARGETS["compressed_block"](TARGETS["compressed_block"].seeds()[0])
    assert [TARGETS["several_models"](seed) for seed in TARGETS["several_models"].seeds()] == [True, True, False]
    assert [TARGETS["set_description"](seed) for seed in TARGETS["set_description"].seeds()] == [True, False, False]
    for name in ("torch7", "foreign"):
        assert all(map(TARGETS[name], TARGETS[name].seeds())), name
    assert [TARGETS["pickled"](seed) for seed in TARGETS["pickled"].seeds()] == [True] * 4 + [False] * 3
    assert [TARGETS["symbols"](seed) for seed in TARGETS["symbols"].seeds()] == [True, True, True, False, True]
    assert TARGETS["catalog"](TARGETS["catalog"].seeds()[0])


def test_a_target_lets_no_other_error_pass():
    for error in (ValueError(), KeyError("x"), RecursionError(), MemoryError(), AssertionError()):

        def fail(data, error=error):
            raise error

        with pytest.raises(type(error)):
            Target(fail, list)(b"")
