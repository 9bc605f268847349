"""Tests of the number that says how surprising the words of a line are, compared with earlier ones."""

import numpy as np
import pytest

from charrnn.inference.word_peaks import WordPeaks


def peaks_of(line, bits):
    """The words of a line of single spaces, and the bits of the least expected character of each."""
    found, start = [], 0
    for word in line.split(" "):
        found.append((word, max(bits[start : start + len(word) + 1])))
        start += len(word) + 1
    return found


def naive(lines):
    """The number of each line by the formula. ``lines`` has a text and the bits of its characters for each."""
    all_peaks, behind, numbers = [2.0] * 3, {}, []
    for line, bits in lines:
        words, total, seen = peaks_of(line, bits), 0.0, []
        for k, (_, peak) in enumerate(words):
            places = [("one", words[k - 1][0] if k else ""), ("two", words[k - 2][0] if k > 1 else "")]
            places = places if k else places[:1]
            usual = [np.mean(all_peaks)] * 3 + [found for place in places for found in behind.get(place, [])]
            total += (peak / (np.mean(usual) + 3)) ** 2
            seen += [(place, peak) for place in places]
        for context, peak in seen:
            behind.setdefault(context, []).append(peak)
        all_peaks += [peak for _, peak in words]
        numbers.append(total**0.5)
    return numbers


def random_lines(rng, count=60):
    """Lines of one to six words of a few, with bits for each character and the line end."""
    lines = [" ".join(rng.choice(["status", "of", "a", "longer", "b"], rng.integers(1, 7))) for _ in range(count)]
    return [(line, rng.exponential(2, len(line) + 1).astype(np.float32)) for line in lines]


def test_the_numbers_are_those_of_the_formula(rng):
    lines = random_lines(rng)
    words = WordPeaks()
    assert [words.add(line, bits) for line, bits in lines] == pytest.approx(naive(lines), rel=1e-5)


def test_bytes_have_the_numbers_of_text(rng):
    text, data = WordPeaks(), WordPeaks()
    for line, bits in random_lines(rng):
        assert data.add(line.encode(), bits) == text.add(line, bits)


def test_a_surprise_counts_less_where_it_is_usual():
    words, quiet = WordPeaks(), np.zeros(13, np.float32)
    for _ in range(50):
        new_name = quiet.copy()
        new_name[8] = 9  # the fifth letter of the second word
        words.add("add newname x", new_name)
    at_the_name, at_the_end = new_name, quiet.copy()
    at_the_end[12] = 9
    assert words.add("add newname x", at_the_name) < 1.1 < 2 < words.add("add newname x", at_the_end)


@pytest.mark.parametrize("line", ["", " ", "\t \t", "  indented", "trailing  ", "two\u2003spaces", "\0 \x85"])
@pytest.mark.parametrize("has_end", [True, False])
def test_any_line_has_a_number(line, has_end):
    words, bits = WordPeaks(), np.full(len(line) + has_end, 2.0, np.float32)
    found = words.add(line, bits)
    assert found == 0 if len(bits) == 0 else found > 0
    # Each word has one peak, of 2 bits, and a line without words has one, too.
    assert found == pytest.approx((max(len(line.split()), len(bits) > 0)) ** 0.5 * 2 / 5)


def test_the_words_that_came_last_are_remembered(rng):
    few, many = WordPeaks(most=3), WordPeaks()
    bits = np.array([9, 0, 1, 0], np.float32)
    first = [each.add("a b ", bits) for each in (few, many)]
    assert first[0] == first[1]
    for each in (few, many):
        each.add("c d ", np.zeros(4, np.float32))
    # few has forgotten what stood behind "a".
    assert few.add("a b ", bits) != many.add("a b ", bits)
    assert len(few._sums) == 3
    long = "x" * 10_000
    few.add(long + " y", np.zeros(10_003, np.float32))
    assert max(len(word) for _, word in few._sums) <= 64


def test_an_infinite_surprise_is_not_what_is_usual():
    """A model with enormous weights may give a character no probability at all; later lines keep their numbers."""
    peaks, without, usual = WordPeaks(), WordPeaks(), np.full(len("a word") + 1, 1.0, np.float32)
    assert peaks.add("a word", np.full(len("a word") + 1, np.inf, np.float32)) == np.inf
    for line in ("a word", "other words"):
        bits = np.resize(usual, len(line) + 1)
        assert peaks.add(line, bits) == without.add(line, bits) > 0
