"""An automaton over characters as one over the bytes of UTF-8.

A step over a character becomes one to four steps over its bytes.  Characters that go on alike share the states between.
"""

import numpy as np
import numpy.typing as npt

from charrnn.text.code_ranges import LARGEST, SURROGATES

_TAIL = 64  # bytes 0x80 to 0xBF, which all bytes of a character but the first are


class Utf8Steps:
    """The tree of all characters by their bytes, in which branches that are alike are one.

    Args:
        starts: (R,) where ranges of code points of one kind begin, from 0 on; the last one may be behind all.
        kinds: (R,) their kinds; 0 is the kind of what must not come, surrogates among it.
    """

    def __init__(self, starts: npt.NDArray[np.integer], kinds: npt.NDArray[np.integer]):
        sizes = np.diff(np.minimum(np.append(starts, LARGEST + 1), LARGEST + 1))
        points = np.repeat(kinds.astype(np.int32), sizes)
        self._ascii = points[:128]
        # For each block of 64 code points, the number of its row of kinds by the last byte.
        self._last, last = _rows(points.reshape(-1, _TAIL))
        nothing = last[SURROGATES[0] // _TAIL]
        self._two = last[2:32]  # by the first bytes 0xC2 to 0xDF
        three = last[:1024].reshape(16, _TAIL).copy()  # by 0xE0 to 0xEF
        three[0, :32] = nothing  # two bytes are enough for these code points
        beyond, dead = last[1024:].reshape(256, _TAIL), np.full((1, _TAIL), nothing)
        self._middle, middle = _rows(np.concatenate([three, beyond, dead]))
        self._three = middle[:16]
        # By 0xF0 to 0xF4, and then the next byte: 16 that three bytes are enough for, 256, and 48 beyond the last.
        four = np.concatenate([np.full(16, middle[-1]), middle[16:272], np.full(48, middle[-1])])
        self._upper = four.reshape(5, _TAIL)

    def expanded(
        self, following: npt.NDArray[np.int32], accepting: npt.NDArray[np.bool_], most: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]] | None:
        """The automaton over bytes: (S', 256) int32 states after each byte, and (S',) bool where a text may end.

        Its first S states are those of the automaton with (S, K) ``following`` over kinds of characters.  None if there
        would be more than ``most``.
        """
        between: dict[bytes, int] = {}  # the states behind the first S, by the states after each of 64 bytes

        def enter(rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
            """The states that go on as the rows (N, 64) say, -1 for one that does not."""
            found = np.full(len(rows), -1, np.int32)
            for k in np.flatnonzero((rows >= 0).any(axis=1)):
                found[k] = between.setdefault(rows[k].tobytes(), len(following) + len(between))
            return found

        made = np.full((len(following), 256), -1, np.int32)
        known: dict[bytes, int] = {}
        for state, row in enumerate(following):
            alike = known.setdefault(row.tobytes(), state)
            if alike == state:
                last = enter(row[self._last])
                middle = enter(last[self._middle])
                made[state, :0x80], made[state, 0xC2:0xE0] = row[self._ascii], last[self._two]
                made[state, 0xE0:0xF0], made[state, 0xF0:0xF5] = middle[self._three], enter(middle[self._upper])
            else:
                made[state] = made[alike]
            if len(following) + len(between) > most:
                return None
        tails = np.full((len(between), 256), -1, np.int32)
        tails[:, 0x80:0xC0] = np.frombuffer(b"".join(between), np.int32).reshape(-1, _TAIL)
        return np.concatenate([made, tails]), np.append(accepting, np.zeros(len(between), bool))


def _rows(table: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The different rows of a table (N, 64), and for each row the number of its own (N,)."""
    found: dict[bytes, int] = {}
    numbers = [found.setdefault(row.tobytes(), len(found)) for row in table.astype(np.int32)]
    return np.frombuffer(b"".join(found), np.int32).reshape(-1, table.shape[1]), np.array(numbers, np.int32)
