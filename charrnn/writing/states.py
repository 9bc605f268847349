"""States of a model after the first characters of a text, kept so that after an edit only a few are read again.

A state depends on nothing but the ids that were read, so it is kept under a hash of these ids.  An edit needs no
bookkeeping: the ids before it have the hashes that they had, and what was taken back is found again.
"""

import hashlib
from collections import OrderedDict
from typing import Any

import numpy as np

from charrnn.inference.ensemble import Ensemble
from charrnn.inference.mixture import Mixture, networks_of, states_of
from charrnn.model import Model
from charrnn.model.reading import shown_values
from charrnn.network.network import State

BUDGET = 96 * 2**20  # bytes of states
MOST_BLOCKS = 20_000  # blocks whose values are kept
LEAST_SPACING, MOST_SPACING = 32, 256  # ids between two states


def copied(state: Any) -> Any:
    """An independent copy of a state of a network, an ensemble or a mixture."""
    if isinstance(state, State | np.ndarray):
        return state.copy()
    return type(state)(copied(each) for each in state)


def nbytes(state: Any) -> int:
    """Bytes of a state."""
    if isinstance(state, State):
        return sum(array.nbytes for array in state.arrays.values())
    return state.nbytes if isinstance(state, np.ndarray) else sum(map(nbytes, state))


class States:
    """The states of a model after the beginnings of texts.

    Args:
        model: a network, an ensemble or a mixture, with its vocabulary.
        longest: ids of the longest text that is read at once.
        budget: bytes that states may take.
    """

    def __init__(self, model: Model, longest: int, budget: int = BUDGET):
        self._network = model.network
        self._first = self._network.initial_state(1)
        self._size = max(nbytes(self._first), 1)
        self._most = max(budget // self._size, 2)
        self.spacing = LEAST_SPACING
        while self.spacing < MOST_SPACING and 2 * longest // self.spacing > self._most:
            self.spacing *= 2
        self._states: OrderedDict[bytes, Any] = OrderedDict()
        self._values: OrderedDict[tuple[bytes, tuple[int, int], str], np.ndarray] = OrderedDict()
        self._here: tuple[bytes, Any] = b"", copied(self._first)

    @property
    def room(self) -> int:
        """How many ids the kept states can be spread over."""
        return self._most * self.spacing

    def unread(self, ids: np.ndarray) -> int:
        """How many of ids (N,) must be read before :meth:`before_last` can answer from a kept state, but the last ones.

        It is 0 if fewer than ``spacing`` are left.
        """
        keys = self._keys(ids)
        return self.spacing * (len(keys) - self._known(keys))

    def read(self, ids: np.ndarray, most: int) -> int:
        """Read at most ``most`` of ids (N,), at least one block, on from the last kept state; how many are unread."""
        keys = self._keys(ids)
        known, left = self._known(keys), max(most // self.spacing, 1)
        if known == len(keys):
            return 0
        state = copied(self._states[keys[known - 1]] if known else self._first)
        for block in range(known, min(known + left, len(keys))):
            self._read(self._block(ids, block), state)
            self._keep(keys[block], copied(state))
        return self.spacing * max(len(keys) - known - left, 0)

    def before_last(self, ids: np.ndarray) -> Any:
        """The state after all of ids (N,), N >= 1, but the last one; the caller must not change it."""
        head = ids[:-1]
        data = head.tobytes()
        known, state = self._here
        size = len(known) // ids.itemsize
        if not (data.startswith(known) and len(head) - size <= self.spacing):
            keys = self._keys(ids)
            while self.read(ids, len(ids)):
                pass
            size = self.spacing * len(keys)
            state = self._states[keys[-1]] if keys else self._first
        if len(head) > size:
            state = copied(state)
            self._read(head[size:], state)
        self._here = data, state
        return state

    def values(
        self, ids: np.ndarray, first: int, cell: tuple[int, int], signal: str, most: int
    ) -> tuple[np.ndarray, int]:
        """The values of a cell after each of ids ``first`` to the last one, as they are shown: (N - first,) float32.

        At most ``most`` ids are read, and at least one block.  Values that are not known yet are NaN; the second result
        is the number of ids that are still to be read.
        """
        layer, unit = cell
        found = np.full(len(ids) - first, np.nan, np.float32)
        keys, left = self._keys(np.append(ids, ids[:1])), max(most // self.spacing, 1)
        known = self._known(keys)
        state, at = None, -1
        for block in range(first // self.spacing, len(keys) + 1):
            key = (keys[block], cell, signal) if block < len(keys) else None
            own = self._values.get(key) if key else None
            if own is None:
                part = self._block(ids, block) if key else ids[block * self.spacing :]
                if not len(part):
                    break
                if at != block:
                    begin = min(known, block)
                    while begin and keys[begin - 1] not in self._states:
                        begin -= 1
                    state = copied(self._states[keys[begin - 1]] if begin else self._first)
                    for before in range(begin, block):
                        if not left:
                            return found, self.spacing * (len(keys) + 1 - before)
                        self._read(self._block(ids, before), state)
                        self._keep(keys[before], copied(state))
                        left -= 1
                if not left and key:
                    return found, self.spacing * (len(keys) + 1 - block)
                own = self._read_signal(part, state, signal)[:, layer, unit].copy()
                at = block + 1
                if key:
                    left -= 1
                    self._keep(keys[block], copied(state))
                    self._values[key] = own
                    if len(self._values) > MOST_BLOCKS:
                        self._values.popitem(last=False)
            start = block * self.spacing - first
            found[max(start, 0) : start + len(own)] = own[max(-start, 0) :]
        return found, 0

    def _block(self, ids: np.ndarray, number: int) -> np.ndarray:
        return ids[number * self.spacing : (number + 1) * self.spacing]

    def _keys(self, ids: np.ndarray) -> list[bytes]:
        """A hash of ids[:k · spacing], for each k >= 1 with which at least one id is left."""
        size, key, keys = self.spacing * ids.itemsize, b"", []
        data = ids[: (len(ids) - 1) // self.spacing * self.spacing].tobytes()
        for start in range(0, len(data), size):
            key = hashlib.blake2b(key + data[start : start + size], digest_size=16).digest()
            keys.append(key)
        return keys

    def _known(self, keys: list[bytes]) -> int:
        """Up to which block a state is kept, as a number of blocks. All of them become those used last."""
        known = 0
        for number, key in enumerate(keys, 1):
            if key in self._states:
                self._states.move_to_end(key)
                known = number
        return known

    def _keep(self, key: bytes, state: Any) -> None:
        self._states[key] = state
        self._states.move_to_end(key)
        while len(self._states) > self._most:
            self._states.popitem(last=False)

    def _read(self, ids: np.ndarray, state: Any) -> None:
        """Read ids (N,); ``state`` moves on."""
        x = np.ascontiguousarray(ids[:, None])
        for network, own in zip(networks_of(self._network), states_of(self._network, state), strict=True):
            network.read(x, own)
        if isinstance(self._network, Mixture):
            self._network.ngrams.read(x, state[1], networks_of(self._network)[0].team)

    def _read_signal(self, ids: np.ndarray, state: Any, signal: str) -> np.ndarray:
        """Read ids (N,); ``state`` moves on. The values (N, L, H) of a signal, as they are shown."""
        self._read(ids, state)
        (network,) = networks_of(self._network)
        return shown_values(network.cell.signal(signal), network.signal(signal)[:, 0])


def has_cells(model: Model) -> bool:
    """Whether the model has cells of its own: an ensemble has not."""
    return not isinstance(model.network, Ensemble) and len(networks_of(model.network)) == 1
