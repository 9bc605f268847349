"""The compressed file: a header, blocks, an end.  docs/COMPRESSED.md describes it byte by byte.

The reader takes nothing on trust.  A number that says how much follows is compared with a limit before anything is
read, what is read comes in pieces, and so a file that claims more than it has costs no more memory than it has bytes.
"""

import struct
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO, Self

from charrnn.compression.recipe import Recipe
from charrnn.config import DynamicEvaluationConfig
from charrnn.errors import CompressedError, ConfigError, brief

MAGIC, VERSION = b"\x8fCRNN", 2
LARGEST_BLOCK = 2**22  # bytes of the original in a block
MOST_ROWS = 256
LONGEST_NAME = 64  # bytes of a model's name
LARGEST_MODEL = 2**33  # bytes of a checkpoint inside
LARGEST_WINDOW = 2**14  # symbols that a network learns from at once
_PIECE = 2**20  # bytes read at a time

END, CODED, STORED = 0, 1, 2  # kinds of blocks
_PACKED, _ONLINE, _SCRATCH, _NGRAMS = 1, 2, 4, 8  # flags

_START = struct.Struct("<5sBBHI")  # magic, version, flags, rows, arithmetic
_MODEL = struct.Struct("<16sB")  # identity, bytes of the name
_LEARNING = {  # by the version of the format
    1: struct.Struct("<dId"),  # rate, steps, decay; all weights have the same rate
    2: struct.Struct("<dIdd"),  # rate, steps, decay, factor of slow weights
}
_RECIPE = struct.Struct("<HBHHd")  # hidden, layers, steps, warm-up, rate
_CHECKSUM = struct.Struct("<I")
DIGEST = 8  # bytes of the SHA-256 of the whole
_LONGEST_NUMBER = 9  # bytes


@dataclass(frozen=True)
class Header:
    """What a compressed file says before its blocks.

    Attributes:
        rows: B, the rows of a block.
        arithmetic: 32 bits that change with the parts of charrnn that can change a bit of what a network computes.
        identity: 16 bytes, which model it is, see :func:`charrnn.checkpoints.identity.identity`; empty from scratch.
        name: what the model was called, "" if that is not known.
        packed: bytes of the checkpoint that follows the header; 0 if there is none.
        online: how the network goes on learning while it reads, or None.
        recipe: the network that begins from scratch, or None.
        ngrams: whether n-grams that learn the file are mixed with the model; from scratch they always are.
    """

    rows: int
    arithmetic: int
    identity: bytes = b""
    name: str = ""
    packed: int = 0
    online: DynamicEvaluationConfig | None = None
    recipe: Recipe | None = None
    ngrams: bool = False

    def description(self) -> str:
        """With what the file is compressed, for a message: the model's name may come from anybody."""
        if self.recipe is not None:
            return "from scratch"
        called = f" {brief(self.name)}" if self.name else ""
        return f"with the model{called} {self.identity.hex()}"

    def to_bytes(self) -> bytes:
        """The header as it stands in the file."""
        flags = _PACKED * bool(self.packed) | _ONLINE * (self.online is not None) | _SCRATCH * (self.recipe is not None)
        flags |= _NGRAMS * self.ngrams
        data = _START.pack(MAGIC, VERSION, flags, self.rows, self.arithmetic)
        if self.recipe is not None:
            data += _RECIPE.pack(*self.recipe)
        else:
            name = self.name.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore").encode()
            data += _MODEL.pack(self.identity, len(name)) + name
        if self.packed:
            data += _number(self.packed)
        if self.online is not None:
            online = self.online
            data += _LEARNING[VERSION].pack(online.lr, online.steps, online.decay, online.slow_factor)
        return data + _CHECKSUM.pack(zlib.crc32(data))

    @classmethod
    def read(cls, file: "Input") -> Self:
        """Read and check a header.

        Raises:
            CompressedError: there is none, it is damaged, or it is of a later version.
        """
        start = file.read(len(MAGIC) + 1, "not a file that charrnn compress wrote (it is too short)")
        if start[:-1] != MAGIC:
            raise CompressedError("not a file that charrnn compress wrote")
        version = start[-1]
        if version not in _LEARNING:
            raise CompressedError(f"its format has the version {version}, and this charrnn knows 1 to {VERSION}")
        _, _, flags, rows, arithmetic = _START.unpack(start + file.read(_START.size - len(start)))
        known, others = _PACKED | _ONLINE | _SCRATCH | _NGRAMS, _PACKED | _ONLINE | _NGRAMS
        if flags & ~known or (flags & _SCRATCH and flags & others):
            raise CompressedError("damaged (its flags are impossible)")
        found = cls(rows, arithmetic, ngrams=bool(flags & _NGRAMS))
        try:
            if flags & _SCRATCH:
                found = replace(found, recipe=Recipe(*_RECIPE.unpack(file.read(_RECIPE.size))))
            else:
                identity, length = _MODEL.unpack(file.read(_MODEL.size))
                if length > LONGEST_NAME:
                    raise CompressedError("damaged (the name of its model is too long)")
                found = replace(found, identity=identity, name=file.read(length).decode())
            if flags & _PACKED:
                found = replace(found, packed=file.number())
            if flags & _ONLINE:
                learning = _LEARNING[version]
                lr, steps, decay, *factor = learning.unpack(file.read(learning.size))
                found = replace(found, online=DynamicEvaluationConfig(lr, steps, decay, factor[0] if factor else 1.0))
        except UnicodeDecodeError:
            raise CompressedError("damaged (the name of its model is no text)") from None
        except ConfigError as error:
            raise CompressedError(f"damaged ({error})") from None
        file.check("its header")
        if found.recipe is not None:
            found.recipe.require_valid()
        if (found.recipe is not None or found.ngrams) and rows != 1:
            raise CompressedError("damaged (with n-grams there is one row)")
        if not 1 <= rows <= MOST_ROWS:
            raise CompressedError(f"damaged ({rows:,} rows, and at most {MOST_ROWS} are allowed)")
        if bool(flags & _PACKED) != bool(found.packed) or found.packed > LARGEST_MODEL:
            raise CompressedError(f"damaged (a model of {found.packed:,} bytes)")
        steps = found.recipe.steps if found.recipe is not None else found.online.steps if found.online else 0
        if steps * rows > LARGEST_WINDOW:
            raise CompressedError(f"damaged (windows of {brief(steps)} symbols in {rows} rows)")
        return found


class Input:
    """A stream that is read from start to end, and the bytes since the last checksum.

    Attributes:
        seen: bytes that the next checksum covers.
        position: bytes read.
    """

    def __init__(self, file: BinaryIO):
        self._file, self.seen, self.position = file, bytearray(), 0

    def read(self, size: int, missing: str = "damaged (it was cut short)") -> bytes:
        """The next ``size`` bytes.

        Raises:
            CompressedError: there are fewer; with the message ``missing``.
        """
        data = self.up_to(size)
        if len(data) < size:
            raise CompressedError(missing)
        self.seen += data
        return data

    def number(self) -> int:
        """The next whole number; see :func:`_number`.

        Raises:
            CompressedError: there is none, or it has more than 63 bits.
        """
        value = 0
        for place in range(_LONGEST_NUMBER):
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise CompressedError("damaged (a number is too long)")

    def up_to(self, size: int) -> bytes:
        """The next ``size`` bytes, or fewer if there are no more; no checksum covers them."""
        pieces, left = [], size
        while left and (piece := self._file.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        self.position += size - left
        return b"".join(pieces)

    def check(self, what: str) -> None:
        """Read a checksum, and compare it with the bytes since the last one.

        Raises:
            CompressedError: it does not match.
        """
        found, self.seen = zlib.crc32(self.seen), bytearray()
        if _CHECKSUM.unpack(self.read(_CHECKSUM.size))[0] != found:
            raise CompressedError(f"damaged (the checksum of {what} does not match)")
        self.seen = bytearray()


@dataclass(frozen=True)
class Block:
    """A block, or the end.

    Attributes:
        kind: END, CODED or STORED.
        size: bytes of the original; at the end, of the whole.
        checksum: CRC-32 of the original from its beginning to the end of this block.
        symbols: how many there are.
        escaped: what is escaped, packed.
        codes: the code of each row.
        data: what is stored; at the end, the first 8 bytes of the SHA-256 of the whole.
    """

    kind: int
    size: int
    checksum: int = 0
    symbols: int = 0
    escaped: bytes = b""
    codes: tuple[bytes, ...] = ()
    data: bytes = b""

    def to_bytes(self) -> bytes:
        """The block as it stands in the file."""
        data = bytes([self.kind]) + _number(self.size)
        if self.kind != END:
            data += _CHECKSUM.pack(self.checksum)
        if self.kind == CODED:
            data += (
                _number(self.symbols) + _number(len(self.escaped)) + b"".join(_number(len(each)) for each in self.codes)
            )
            data += self.escaped + b"".join(self.codes)
        data += self.data
        return data + _CHECKSUM.pack(zlib.crc32(data))

    @classmethod
    def read(cls, file: Input, rows: int, number: int) -> Self:
        """Read and check block ``number`` of a file whose blocks have so many rows.

        Raises:
            CompressedError: it is damaged, or the file ends in it.
        """
        kind = file.read(1)[0]
        if kind not in (END, CODED, STORED):
            raise CompressedError(f"damaged (block {number:,} is of an unknown kind)")
        size = file.number()
        if kind == END:
            found = cls(END, size, data=file.read(DIGEST))
        else:
            if not 1 <= size <= LARGEST_BLOCK:
                raise CompressedError(f"damaged (block {number:,} has {size:,} bytes)")
            checksum = _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]
            if kind == STORED:
                found = cls(STORED, size, checksum, data=file.read(size))
            else:
                symbols, escaped, *lengths = (file.number() for _ in range(2 + rows))
                # A symbol takes at most 8 bytes, and an escaped character at most 4 before it is packed.
                most = 8 * (symbols // rows + 2)
                if not 1 <= symbols <= size or escaped > 5 * symbols + 64 or max(lengths) > most:
                    raise CompressedError(f"damaged (the sizes of block {number:,} are impossible)")
                packed = file.read(escaped)
                codes = tuple(file.read(length) for length in lengths)
                found = cls(CODED, size, checksum, symbols, packed, codes)
        file.check(f"block {number:,}" if kind != END else "its end")
        return found


def _number(value: int) -> bytes:
    """A whole number from 0, seven bits a byte, the lowest first; all bytes but the last have the highest bit set."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])
