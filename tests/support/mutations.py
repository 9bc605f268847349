"""Makes inputs for fuzzing by changing others. It is used where no fuzzer with coverage is installed."""

import random

_NUMBERS = (
    0,
    1,
    -1,
    7,
    255,
    256,
    65_535,
    65_536,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    10**9,
    10**18,
    10**30,
)
_WORDS = (
    *(b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0.0", b"1e-400", b"0x" + b"f" * 5000),
    *(b"[]", b"{}", b'""', b'"\\ud800"', b'"\\u0000"', b"[" * 2000, b'{"a":' * 2000, b"9" * 5000, b"x" * 3000),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "\ufeff\u202e\u2066".encode(), b"\x1b]52;c;eA==\x07"),
    *(
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b",",
        b":",
        b'"',
        b"\\",
        b"=",
        b"/",
        b"..",
        b"-",
        b"--",
        b"%s",
        b"{0}",
        b"[red]",
        b"F64",
    ),
    *(str(number).encode() for number in _NUMBERS),
    *(number.to_bytes(8, "little", signed=True) for number in _NUMBERS if -(2**63) <= number < 2**63),
)


def mutated(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """``data`` after one to four changes: bits, bytes, words, numbers, pieces doubled, removed, or from ``others``."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(result) + 1)
        piece = slice(at, at + rng.choice((1, 1, 2, 4, 8, 30, 300)))
        match rng.randrange(9):
            case 0 if result:
                result[at % len(result)] ^= 1 << rng.randrange(8)
            case 1 if result:
                result[at % len(result)] = rng.randrange(256)
            case 2:
                result[piece] = b""
            case 3:
                result[at:at] = result[piece] * rng.choice((1, 1, 2, 50))
            case 4:
                result[at:at] = rng.choice(_WORDS)
            case 5:
                result[piece] = rng.choice(_WORDS)
            case 6:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                result[piece] = other[start : start + rng.choice((1, 4, 30, 300))]
            case 7 if rng.random() < 0.2:
                del result[at:]
            case _:
                _change_number(result, rng, at)
    return bytes(result)


def _change_number(data: bytearray, rng: random.Random, at: int) -> None:
    """Replace the first number at or after ``at``."""
    digits = b"0123456789"
    start = next((place for place in range(at, min(at + 200, len(data))) if data[place] in digits), None)
    if start is None:
        return
    stop = next((place for place in range(start, len(data)) if data[place] not in digits), len(data))
    data[start:stop] = str(rng.choice((*_NUMBERS, rng.randrange(100)))).encode()
