"""A language with planted structure, for which it is known what a model must remember.

A text has words of consonants and vowels, and pairs of runs of equal length (``xxxyyy``). Some stand in quotation
marks, some in up to three brackets. Lines of ``LINE`` characters break anywhere:

- the vowels are e and i inside quotation marks, o and u outside;
- the consonants show how many brackets are open: b d for none, k l, m n, s t;
- after a run of x as many y follow;
- after every ``LINE`` characters there is a newline.
"""

from dataclasses import dataclass

import numpy as np

LINE = 12
VOWELS = ("ou", "ei")  # outside, inside
CONSONANTS = ("bd", "kl", "mn", "st")  # by open brackets


@dataclass(frozen=True)
class Planted:
    """A ``text`` of N characters, and labels (N,) for the text after each of them.

    ``quoted`` bool: inside quotation marks; ``depth``: open brackets; ``column``: characters of the line; ``owed``: how
    many y must still follow.
    """

    text: str
    quoted: np.ndarray
    depth: np.ndarray
    column: np.ndarray
    owed: np.ndarray


def plant(characters: int, seed: int) -> Planted:
    """A text of ``characters`` characters, chosen by ``seed``."""
    generator = np.random.default_rng(seed)
    text, states = [], []
    quoted = depth = owed = column = 0

    def write(sign: str) -> None:
        nonlocal column
        if column == LINE:
            column = 0
            text.append("\n")
            states.append((states[-1][0], states[-1][1], 0, states[-1][3]))
        column += 1
        text.append(sign)
        states.append((quoted, depth, column, owed))

    while len(text) < characters:
        dice = generator.random()
        if dice < 0.08:
            quoted = 1 - quoted
            write('"')
        elif dice < 0.16 and depth < 3:
            depth += 1
            write("(")
        elif dice < 0.24 and depth:
            depth -= 1
            write(")")
        elif dice < 0.34:
            run = int(generator.integers(1, 6))
            for _ in range(run):
                owed += 1
                write("x")
            for _ in range(run):
                owed -= 1
                write("y")
        else:
            for _ in range(int(generator.integers(1, 4))):
                write(CONSONANTS[depth][generator.integers(2)])
                write(VOWELS[quoted][generator.integers(2)])
            write(" ")
    columns = np.array(states[:characters]).T
    return Planted("".join(text[:characters]), columns[0] > 0, *columns[1:])
