"""A language with planted structure, in which we know what a model must remember.

Words of consonants and vowels, some of them in quotation marks or within up to three brackets, and pairs of runs of
equal length, ``xxxyyy``, in lines of ``LINE`` characters that break anywhere:

- inside quotation marks the vowels are e and i, outside o and u;
- the consonants say how many brackets are open: b d, k l, m n, s t;
- after a run of x there come as many y;
- after every ``LINE`` characters there is a newline.
"""

from dataclasses import dataclass

import numpy as np

LINE = 12
VOWELS = ("ou", "ei")  # outside, inside
CONSONANTS = ("bd", "kl", "mn", "st")  # by open brackets


@dataclass(frozen=True)
class Planted:
    """A ``text`` of N characters; what is so after each of them: ``quoted``, ``depth``, ``column``, ``owed`` (N,).

    ``owed`` is how many y are still to come.
    """

    text: str
    quoted: np.ndarray
    depth: np.ndarray
    column: np.ndarray
    owed: np.ndarray


def plant(characters: int, seed: int) -> Planted:
    """``characters`` of the language."""
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
