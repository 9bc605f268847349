"""Ground truth: in a Transformer with heads made by hand these heads are found and named, and no others."""

import numpy as np
import pytest
from planted_heads import PATTERNS, model_of, text_of

from charrnn.errors import ConfigError
from charrnn.inspection import head_patterns
from charrnn.inspection.attention import summary
from charrnn.inspection.head_search import find_heads

MODEL, TEXT = model_of(), text_of(6000)
IDS = MODEL.encode(TEXT)


def test_planted_heads_are_named_and_others_are_not():
    found = summary(MODEL, IDS)
    assert {head: found.best(head) for head in found.heads} == {head: PATTERNS.get(head) for head in found.heads}
    assert found.weight["previous"][0, 0] > 0.95
    assert found.weight["line-start"][0, 1] > 0.95
    # The characters behind all places of the character share the weight of the induction head.
    assert 0.3 < found.weight["induction"][1, 0] < 0.8
    assert set(found.ranked()[:3]) == set(PATTERNS)


def test_distance_and_entropy_are_means():
    found = summary(MODEL, IDS[:3000])
    places = np.minimum(np.arange(3000), 31)
    assert found.distance[0, 2] == pytest.approx(places.mean() / 2, rel=1e-4)  # it looks at all alike
    assert found.entropy[0, 2] == pytest.approx(np.log2(places + 1).mean(), rel=1e-4)
    assert found.entropy[0, 0] < 0.3
    assert found.distance[0, 0] == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(found.by_distance.sum(axis=2), 1, atol=1e-4)


@pytest.fixture(scope="module")
def findings():
    return find_heads(MODEL, IDS, head_patterns.PATTERNS)


def test_planted_heads_are_found_with_a_p(findings):
    by_name = {each.pattern.name: each for each in findings.found}
    for head, name in PATTERNS.items():
        assert by_name[name].ranked(1) == [head]
        assert by_name[name].p[head] == by_name[name].p_of_all[head] == 1 / 200
        assert by_name[name].is_significant(head)
    assert findings.absent == ["opening"]


def test_no_other_head_and_pattern_is_significant_but_for_what_follows_from_a_planted_one(findings):
    # A repetition of three characters is one of the last character, too.
    follows = {(head, name) for head, name in PATTERNS.items()} | {((1, 0), "induction-3")}
    found = {
        (head, each.pattern.name)
        for each in findings.found
        for head in findings.summary.heads
        if each.is_significant(head) and each.strengths[head] > 0.03
    }
    assert found == follows


def test_a_head_that_looks_nearby_is_compared_with_what_is_nearby(findings):
    (same,) = [each for each in findings.found if each.pattern.name == "same-character"]
    # A tenth of the characters are like the one before: 0:0 looks at these without knowing them.
    assert same.weights[0, 0] > 0.05
    assert same.expected[0, 0] == pytest.approx(same.weights[0, 0], abs=0.01)
    assert same.p[0, 0] > 0.05


def test_the_same_seed_finds_the_same_and_other_permutations_nearly(findings):
    patterns = [head_patterns.BY_NAME["induction"], head_patterns.BY_NAME["previous"]]
    first, again = (find_heads(MODEL, IDS, patterns, permutations=19, seed=3) for _ in range(2))
    for one, other in zip(first.found, again.found, strict=True):
        np.testing.assert_array_equal(one.p, other.p)
    np.testing.assert_array_equal(first.found[1].weights, findings.found[1].weights)
    assert first.found[0].p[1, 0] == 1 / 20


def test_by_chance_a_pattern_is_significant_in_few_texts():
    # Distances that have nothing to do with the text.
    def random(seed):
        generator = np.random.default_rng(seed)

        def back(passage):
            return generator.integers(-3, 12, len(passage))

        return head_patterns.HeadPattern(f"random {seed}", "a character by chance", back)

    found = find_heads(MODEL, IDS, [random(seed) for seed in range(40)], permutations=99)
    assert sum(each.p.min() <= 0.05 for each in found.found) <= 6
    assert min(each.p_of_all.min() for each in found.found) > 0.01


def test_a_pattern_that_hardly_changes_has_no_p():
    def back(passage):
        return np.where(np.arange(len(passage)) < 3000, 5, -1)

    (found,) = find_heads(MODEL, IDS, [head_patterns.HeadPattern("half", "five back", back)]).found
    assert found.block is None
    assert np.isnan(found.p).all()
    assert "changes so slowly" in found.why_no_p
    assert found.is_significant((0, 0)) is None
    assert found.places == 3000 - 31


def test_texts_that_cannot_be_tested():
    with pytest.raises(ConfigError, match="999 characters are too few"):
        find_heads(MODEL, IDS[:999], head_patterns.PATTERNS)
    with pytest.raises(ConfigError, match="opening: nowhere in this text within 32 places"):
        find_heads(MODEL, IDS, [head_patterns.BY_NAME["opening"]])
