"""Stretches of a file from all over it."""

import pytest

from charrnn.errors import CorpusError
from charrnn.text.excerpts import excerpt


def test_a_short_file_is_taken_whole(tmp_path):
    path = tmp_path / "a"
    for data in (b"x", b"one\ntwo\n" * 3000, "漢字".encode() * 4000, b"\xff\x80" * 6000):
        path.write_bytes(data)
        found = excerpt(path, 100_000)
        assert b"".join(found) == data
        assert all(found)


def test_a_long_file_is_sampled_from_all_over_it(tmp_path):
    path = tmp_path / "a"
    path.write_text("".join(f"line {k:06}\n" for k in range(100_000)))
    found = excerpt(path, 100_000)
    assert len(found) == 20
    assert 90_000 < sum(map(len, found)) <= 100_000
    lines = b"".join(found).decode().splitlines()
    assert all(len(line) == 11 for line in lines)
    numbers = [int(line[5:]) for line in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0 and numbers[-1] == 99_999


def test_no_character_is_cut_where_there_are_no_lines(tmp_path):
    path = tmp_path / "a"
    path.write_text("aé漢🦊" * 40_000)
    for size in (9_999, 10_000, 10_001, 30_003):
        for stretch in excerpt(path, size):
            stretch.decode()


@pytest.mark.parametrize("size", [1, 2, 3, 4999])
def test_small_sizes(tmp_path, size):
    path = tmp_path / "a"
    path.write_bytes(b"abc\n" * 5000)
    assert sum(map(len, excerpt(path, size))) <= size


def test_what_is_no_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CorpusError, match="cannot be read"):
            excerpt(path, 10)
