"""Compressed files that are damaged, cut short or forged: one line each, never wrong bytes, and little memory."""

import io
import random
import struct
import tracemalloc
import zlib

import pytest
from mutations import mutated

from charrnn.compression.compressor import compress, decompress, listing
from charrnn.compression.container import CODED, END, MAGIC, STORED, Block, Header, Input, _number
from charrnn.compression.recipe import Recipe
from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import CharRNNError, CompressedError
from charrnn.model import Model
from charrnn.model.compressing import method_for, method_of
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

MODEL = Model(Network(ModelConfig(9, 8, 1), seed=1, threads=1), Vocabulary("\n abcdef漢"))


def method_of_file(header, packed):
    return method_for(MODEL, header)


DATA = "abc def\n漢 fed\nunknown: é\n".encode() * 6


@pytest.fixture(scope="module")
def packed():
    """A file of several coded blocks in three rows."""
    method, sink = method_of(MODEL, "name"), io.BytesIO()
    method.block = 60
    compress(io.BytesIO(DATA), sink, method, 3)
    return sink.getvalue()


def unpack(data):
    sink = io.BytesIO()
    decompress(io.BytesIO(data), sink, method_of_file)
    return sink.getvalue()


def refusal(data):
    """The message about ``data``, one short line; what was written before is the beginning of the original."""
    sink = io.BytesIO()
    with pytest.raises(CharRNNError) as caught:
        decompress(io.BytesIO(data), sink, method_of_file)
    assert DATA.startswith(sink.getvalue())
    message = str(caught.value)
    assert message.isprintable() and len(message) < 300, message
    return message


def block(*numbers):
    """The beginning of a coded block of 5 bytes."""
    return bytes([CODED]) + _number(5) + bytes(4) + b"".join(map(_number, numbers))


def with_checksum(data):
    return data + struct.pack("<I", zlib.crc32(data))


def header(**changes):
    return Header(**{"rows": 3, "arithmetic": 1, "identity": method_of(MODEL).identity} | changes).to_bytes()


def test_it_is_healthy(packed):
    assert unpack(packed) == DATA
    assert listing(io.BytesIO(packed)).totals.original == len(DATA)


def test_truncation_at_every_length(packed):
    for length in range(len(packed)):
        refusal(packed[:length])
        with pytest.raises(CompressedError):
            listing(io.BytesIO(packed[:length]))
    assert "after its end" in refusal(packed + b"\0")
    assert "after its end" in refusal(packed + packed)


def test_every_flipped_bit_is_noticed(packed):
    damaged = bytearray(packed)
    for place in range(len(packed)):
        for bit in (0, 3, 7):
            damaged[place] ^= 1 << bit
            refusal(bytes(damaged))
            damaged[place] ^= 1 << bit


def test_blocks_that_are_left_out_doubled_or_exchanged_are_noticed(packed):
    file = Input(io.BytesIO(packed))
    Header.read(file)
    begins = [file.position]
    while Block.read(file, 3, 1).kind != END:
        begins.append(file.position)
    start, blocks = packed[: begins[0]], [packed[a:b] for a, b in zip(begins, [*begins[1:], len(packed)], strict=True)]
    assert len(blocks) > 3
    for others in (
        blocks[1:],
        [*blocks[:1], *blocks[2:]],
        [blocks[0], *blocks],
        [blocks[1], blocks[0], *blocks[2:]],
        [*blocks[:-2], blocks[-1]],
    ):
        refusal(start + b"".join(others))


def test_other_files(packed):
    assert "not a file that charrnn compress wrote" in refusal(b"")
    assert "not a file that charrnn compress wrote" in refusal(b"\x1f\x8b\x08" + bytes(40))
    assert "version 9" in refusal(with_checksum(MAGIC + b"\x09" + bytes(60)))


def of_version_1(data):
    """A file with the header that version 1 had: without the slow weights' part of the rate."""
    file = Input(io.BytesIO(data))
    Header.read(file)
    first = bytearray(data[: file.position - 4 - 8])
    first[len(MAGIC)] = 1
    return with_checksum(bytes(first)) + data[file.position :]


def test_a_file_of_the_first_version_comes_back():
    """All weights learnt at one rate; tests/goldens/results.json has what they came to."""
    method, sink = method_of(MODEL, online=DynamicEvaluationConfig(1e-2, 20, 0.01, 1.0)), io.BytesIO()
    compress(io.BytesIO(DATA), sink, method, 1)
    first = of_version_1(sink.getvalue())
    assert Header.read(Input(io.BytesIO(first))).online == DynamicEvaluationConfig(1e-2, 20, 0.01, 1.0)
    assert unpack(first) == unpack(sink.getvalue()) == DATA


FORGED = {
    "rows": (header(rows=0), "rows"),
    "many rows": (header(rows=60_000), "rows"),
    "packed": (header(packed=2**62), "a model of"),
    "absent": (header(packed=2**32), "cut short"),
    "segments": (header(online=DynamicEvaluationConfig(steps=1_000_000)), "windows"),
    "scratch rows": (header(recipe=Recipe(), rows=2), "one row"),
    "n-gram rows": (header(ngrams=True), "one row"),
    "scratch size": (header(recipe=Recipe(hidden=60_000), rows=1), "recipe"),
    "scratch rate": (header(recipe=Recipe(rate=float("nan")), rows=1), "recipe"),
    "scratch window": (header(recipe=Recipe(steps=60_000), rows=1), "recipe"),
    "size": (header() + with_checksum(bytes([CODED]) + _number(2**62) + bytes(4)), "has"),
    "no bytes": (header() + with_checksum(bytes([STORED]) + _number(0) + bytes(4)), "has"),
    "stored": (header() + bytes([STORED]) + _number(2**22) + bytes(4) + b"abc", "cut short"),
    "kind": (header() + with_checksum(bytes([7]) + _number(5)), "unknown kind"),
    "number": (header() + bytes([END]) + b"\xff" * 20, "number is too long"),
    "symbols": (header() + block(6, 0, 0, 0, 0), "impossible"),
    "no symbols": (header() + block(0, 0, 0, 0, 0), "impossible"),
    "escaped": (header() + block(5, 2**40, 1, 1, 1), "impossible"),
    "row": (header() + block(5, 0, 1, 2**40, 1), "impossible"),
    "end": (header() + Block(END, 2**62, data=bytes(8)).to_bytes(), "missing, or comes twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_what_a_file_claims_is_checked_before_memory_is_asked_for(name):
    data, message = FORGED[name]
    tracemalloc.start()
    try:
        assert message in refusal(data)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_block_of_nothing_but_claims_ends_soon():
    """It claims four million symbols and has a byte for each row: the decoder stops where the bytes end."""
    claims = Block(CODED, 2**22, 1, 2**22, b"", (b"\xff",) * 3)
    assert "another version" in refusal(header() + claims.to_bytes())  # its arithmetic is forged, too


@pytest.mark.parametrize(
    "escaped",
    [
        b"", b"xxxx", zlib.compress(b""), zlib.compress("éé".encode()), zlib.compress("é".encode()) + b"x",
        zlib.compress(b"\xff"), zlib.compress("\ud800".encode("utf-8", "surrogatepass")), zlib.compress(bytes(10**6)),
    ],
)  # fmt: skip
def test_wrong_escapes_are_noticed(escaped):
    data = "aé".encode()
    sink = io.BytesIO()
    compress(io.BytesIO(data), sink, method_of(MODEL), 1)
    file = Input(io.BytesIO(sink.getvalue()))
    Header.read(file)
    begin = file.position
    block = Block.read(file, 1, 1)
    end = sink.getvalue()[file.position :]
    if block.kind == STORED:
        symbols, _ = method_of(MODEL).alphabet.encode(data)
        with method_of(MODEL).coder(1) as coder:
            codes = tuple(coder.encode(symbols, lambda done: None))
        block = Block(CODED, len(data), zlib.crc32(data), len(symbols), b"", codes)
    forged = Block(CODED, block.size, block.checksum, block.symbols, escaped, block.codes).to_bytes()
    with pytest.raises(CompressedError):
        unpack(sink.getvalue()[:begin] + forged + end)


def test_mutations_are_refused_or_give_the_original(packed):
    rng = random.Random(4)
    for _ in range(600):
        data = mutated(packed, rng, [packed])
        sink = io.BytesIO()
        try:
            decompress(io.BytesIO(data), sink, method_of_file)
        except CharRNNError as error:
            assert str(error).isprintable() and len(str(error)) < 300
        else:
            assert sink.getvalue() == DATA
        assert DATA.startswith(sink.getvalue())
