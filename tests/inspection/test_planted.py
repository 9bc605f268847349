"""Ground truth: in a model of a language with planted structure, cells for this structure are found, and no others.

The loss that an ablated cell costs is compared inside and outside of the quotation marks that the cell keeps track of.
"""

import numpy as np
import pytest
from command_line import succeed
from planted import LINE, plant

from charrnn.inspection.ablation import ablate
from charrnn.inspection.hypotheses import HYPOTHESES, Hypothesis, hypothesis, label_text
from charrnn.inspection.naming import LEAST, name_cells
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.search import find
from charrnn.model import load

TEXT = plant(20_000, seed=2)  # the model was not trained on it


@pytest.fixture(scope="session")
def speaker(tmp_path_factory):
    """A model of 32 cells, trained on the language for some seconds."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted.txt").write_text(plant(120_000, seed=1).text)
    sizes = ["--hidden", 32, "--layers", 1, "--seq-len", 48, "--batch-size", 16, "--steps", 1000, "--threads", 1]
    succeed("train", folder / "planted.txt", "--out", folder, *sizes, "--dropout", 0, "--lr", 0.01, "-q")
    return load(folder / "planted", threads=1)


def given(name, values):
    """The hypothesis whose labels are ``values`` (N,)."""
    return Hypothesis(name, name, lambda passage: values[passage.start :][: len(passage)], values.dtype == bool)


def test_the_hypotheses_label_the_language_as_planted():
    encoded = EncodedText(*vocabulary_and_ids(TEXT.text))
    for name, planted in (("quotes", TEXT.quoted), ("brackets", TEXT.depth), ("column", TEXT.column)):
        np.testing.assert_array_equal(label_text(encoded, hypothesis(name)), planted, name)
    assert TEXT.text[LINE] == "\n"
    assert TEXT.owed.max() == 5


def vocabulary_and_ids(text):
    from charrnn.text.vocabulary import Vocabulary

    vocabulary = Vocabulary(sorted(set(text)))
    return vocabulary, vocabulary.encode(text)


@pytest.mark.parametrize(("name", "least"), [("quotes", 0.9), ("brackets", 0.8), ("column", 0.9)])
def test_the_planted_cells_are_found(speaker, name, least):
    (found,) = find(speaker, speaker.encode(TEXT.text), [hypothesis(name)]).found
    best = found.ranked(1)[0]
    assert found.strengths[best] > least
    assert found.p[best] == 1 / 200
    assert abs(found.probe.score) >= abs(found.probe.cell) > 0.5 + least / 2 - 0.1


def test_a_counter_is_found(speaker):
    (found,) = find(speaker, speaker.encode(TEXT.text), [given("owed", TEXT.owed)]).found
    best = found.ranked(1)[0]
    assert found.strengths[best] > 0.4  # the label is 0 at most places, and these ties limit the correlation
    assert found.strengths[best] > 0.9 * found.probe.score
    assert found.p[best] == 1 / 200


def shuffled(rng, inside, outside, count):
    """A mask (count,) whose runs have the lengths ``inside`` and ``outside``, in random order."""
    pairs = min(len(inside), len(outside))
    lengths = np.stack([rng.permutation(outside)[:pairs], rng.permutation(inside)[:pairs]], axis=1).ravel()
    mask = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.resize(np.roll(mask, rng.integers(len(mask))), count)


def test_random_masks_are_found_no_more_often_than_stated(speaker):
    """The quotations of the text in another order make masks with the same autocorrelation and without meaning."""
    ids, rng = speaker.encode(TEXT.text), np.random.default_rng(20)
    turns = np.flatnonzero(TEXT.quoted[1:] != TEXT.quoted[:-1]) + 1
    runs, begins_inside = np.diff(turns), int(TEXT.quoted[turns[0]])
    inside, outside = runs[1 - begins_inside :: 2], runs[begins_inside::2]
    masks = [given(str(number), shuffled(rng, inside, outside, len(ids))) for number in range(63)]
    tested = find(speaker, ids, masks, permutations=99, with_probe=False).found
    least = np.array([each.p.min() for each in tested])
    assert (least <= 0.05).sum() <= 8  # of 63: 3 are expected, more than 8 happen once in 200 times
    assert (least <= 0.5).sum() >= 20  # nor is the test too careful
    assert min(each.p_of_all.min() for each in tested) > 0.05


def test_without_the_cell_that_was_found_the_model_loses_inside(speaker):
    ids = speaker.encode(TEXT.text)
    (found,) = find(speaker, ids, [hypothesis("quotes")], with_probe=False).found
    cell = found.ranked(1)[0]
    off = ablate(speaker.network, ids, [cell], 0.0, TEXT.quoted, controls=0).mean_outside[cell]
    clamped = ablate(speaker.network, ids, [cell], off, TEXT.quoted, controls=8)
    assert clamped.inside.low > 0.05
    assert clamped.contrast.low > 0.05  # inside minus outside, its interval of 95 %
    assert clamped.rank == 1


def test_every_hypothesis_can_be_tried_at_once(speaker):
    found = find(speaker, speaker.encode(TEXT.text), HYPOTHESES, permutations=19, with_probe=False)
    assert {"url", "tag", "digit"} <= set(found.absent)
    assert {each.name for each in found.found} | set(found.absent) == {each.name for each in HYPOTHESES}


def test_planted_cells_are_named_by_what_they_track(speaker):
    ids = speaker.encode(TEXT.text)
    names = name_cells(speaker, ids)
    for name, measure in (("quotes", "auc"), ("brackets", "spearman"), ("column", "spearman")):
        (found,) = find(speaker, ids, [hypothesis(name)], with_probe=False).found
        best = found.ranked(1)[0]
        assert names[best] == (name, measure, pytest.approx(found.scores[best], abs=0.002))
    assert all(abs(2 * each.value - 1 if each.measure == "auc" else each.value) >= LEAST for each in names.values())


def test_cells_that_track_nothing_have_no_name(speaker):
    noise = np.random.default_rng(5).integers(0, len(speaker.vocabulary), 20_000)
    planted = name_cells(speaker, speaker.encode(TEXT.text))
    assert len(name_cells(speaker, noise)) < len(planted)
    assert name_cells(speaker, noise[:900]) == {}  # too short for a test
    assert name_cells(speaker, np.zeros(5000, np.int64)) == {}  # nothing to tell apart
