"""A module of WebAssembly that multiplies a vector by a packed matrix with SIMD, assembled here.

The matrix has blocks of 32 columns: 8 vectors of 4 floats, whose sums stay in registers. The encoding is that of the
WebAssembly Core Specification, release 2 (binary format, vector instructions). The function ``multiply`` in arena.js
computes the same without WebAssembly.
"""

COLUMNS = 32  # of a block, as in arena.js
_VECTORS = COLUMNS // 4

# Types, sections and instructions, by their names in the specification.
_I32, _V128, _FUNC, _NO_RESULT = 0x7F, 0x7B, 0x60, 0x40
_TYPE, _IMPORT, _FUNCTION, _EXPORT, _CODE = 1, 2, 3, 7, 10
_LOOP, _END, _BR_IF, _GET, _SET, _TEE = 0x03, 0x0B, 0x0D, 0x20, 0x21, 0x22
_CONST, _LESS_UNSIGNED, _ADD, _SUBTRACT, _SHIFT_LEFT = 0x41, 0x49, 0x6A, 0x6B, 0x74
_LOAD, _LOAD_SPLAT, _STORE, _ADD_F32, _MULTIPLY_F32 = 0, 9, 11, 0xE4, 0xE6  # after the prefix of vectors
_PREFIX = 0xFD

# The parameters and the local variables, by number.
_X, _COUNT, _W, _BLOCKS, _OUT, _AT, _STOP, _SPLAT = range(8)
_SUM = _SPLAT + 1  # the first of the sums


def module() -> bytes:
    """The bytes of the module.

    It imports the memory ``page.memory`` and exports ``multiply(x, count, w, blocks, out)``. ``x`` (count,), ``w``
    (blocks, count, 32) and ``out`` (blocks, 32) are addresses in bytes of float32; ``count`` and ``blocks`` are at
    least 1. It adds x w to out, in the order of x.
    """
    kind = bytes([_FUNC]) + _vector([bytes([_I32])] * 5) + _vector([])
    memory = _name("page") + _name("memory") + bytes([2, 0]) + _unsigned(1)  # a memory of at least one page
    export = _name("multiply") + bytes([0, 0])
    locals_ = _vector([_unsigned(2) + bytes([_I32]), _unsigned(1 + _VECTORS) + bytes([_V128])])
    body = locals_ + _multiply() + bytes([_END])
    return b"\0asm\1\0\0\0" + b"".join(
        (
            _section(_TYPE, [kind]),
            _section(_IMPORT, [memory]),
            _section(_FUNCTION, [_unsigned(0)]),
            _section(_EXPORT, [export]),
            _section(_CODE, [_unsigned(len(body)) + body]),
        )
    )


def _multiply() -> bytes:
    """The instructions: a loop over blocks, and in it a loop over the numbers of x."""
    loads = [_get(_OUT) + _memory(_LOAD, 16 * k) + _set(_SUM + k) for k in range(_VECTORS)]
    products = [
        _get(_SUM + k)
        + _get(_SPLAT)
        + _get(_W)
        + _memory(_LOAD, 16 * k)
        + _simd(_MULTIPLY_F32)
        + _simd(_ADD_F32)
        + _set(_SUM + k)
        for k in range(_VECTORS)
    ]
    stores = [_get(_OUT) + _get(_SUM + k) + _memory(_STORE, 16 * k) for k in range(_VECTORS)]
    inner = [
        _get(_AT) + _memory(_LOAD_SPLAT, 0, 2) + _set(_SPLAT),
        *products,
        _get(_W) + _number(4 * COLUMNS) + bytes([_ADD]) + _set(_W),
        _get(_AT) + _number(4) + bytes([_ADD, _TEE, _AT]) + _get(_STOP) + bytes([_LESS_UNSIGNED]),
    ]
    outer = [
        *loads,
        _get(_X) + _set(_AT),
        _get(_X) + _get(_COUNT) + _number(2) + bytes([_SHIFT_LEFT, _ADD]) + _set(_STOP),
        _repeat(inner),
        *stores,
        _get(_OUT) + _number(4 * COLUMNS) + bytes([_ADD]) + _set(_OUT),
        _get(_BLOCKS) + _number(1) + bytes([_SUBTRACT, _TEE, _BLOCKS]),
    ]
    return _repeat(outer)


def _repeat(instructions: list[bytes]) -> bytes:
    """A loop that goes on while its last instruction leaves a number other than 0."""
    return bytes([_LOOP, _NO_RESULT]) + b"".join(instructions) + bytes([_BR_IF, 0, _END])


def _unsigned(value: int, end: int = 0x80) -> bytes:
    """The LEB128 encoding of a number from 0. ``end`` bounds the last byte: 0x80, or 0x40 where numbers have signs."""
    parts = bytearray()
    while value >= end:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _vector(items: list[bytes]) -> bytes:
    return _unsigned(len(items)) + b"".join(items)


def _name(text: str) -> bytes:
    return _unsigned(len(text)) + text.encode()


def _section(number: int, items: list[bytes]) -> bytes:
    content = _vector(items)
    return bytes([number]) + _unsigned(len(content)) + content


def _get(variable: int) -> bytes:
    return bytes([_GET]) + _unsigned(variable)


def _set(variable: int) -> bytes:
    return bytes([_SET]) + _unsigned(variable)


def _number(value: int) -> bytes:
    return bytes([_CONST]) + _unsigned(value, 0x40)


def _simd(instruction: int) -> bytes:
    return bytes([_PREFIX]) + _unsigned(instruction)


def _memory(instruction: int, offset: int, alignment: int = 4) -> bytes:
    """A load or a store; ``alignment`` is the exponent of two that the address is a multiple of."""
    return _simd(instruction) + _unsigned(alignment) + _unsigned(offset)
