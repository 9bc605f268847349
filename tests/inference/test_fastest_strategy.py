"""Finding the quickest way."""

from charrnn.inference.stream_team import FastestStrategy


def go(pace, seconds, turns):
    """Go so many turns, each way taking its ``seconds`` for one of ten; how often each was gone."""
    gone = [0] * len(seconds)
    for _ in range(turns):
        way = pace.next()
        gone[way] += 1
        pace.took(way, 10 * seconds[way], 10)
    return gone


def test_the_quicker_way_is_gone_and_the_other_now_and_then():
    slow, quick = go(FastestStrategy(2), [3.0, 1.0], 1000)
    assert quick > 900
    assert slow * 3 < 0.06 * quick  # at most a twentieth of the time
    assert slow > 1


def test_a_way_that_has_become_quicker_is_found():
    pace = FastestStrategy(2)
    go(pace, [1.0, 5.0], 50)
    assert go(pace, [1.0, 0.2], 200)[1] > 100


def test_one_way_is_gone_always():
    assert go(FastestStrategy(1), [1.0], 5) == [5]
