"""Compressing and decompressing streams of bytes."""

import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from charrnn.compression.blocks import BlockCoder
from charrnn.compression.container import (
    CODED,
    DIGEST,
    END,
    LARGEST_BLOCK,
    LARGEST_WINDOW,
    MOST_ROWS,
    STORED,
    Block,
    Header,
    Input,
)
from charrnn.compression.symbols import Alphabet
from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import CompressedError, ConfigError
from charrnn.inference import online_ngrams, row_coder
from charrnn.inference.online_ngrams import BESIDE_A_MODEL, OnlineNgrams
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import dynamic_evaluation
from charrnn.training.dynamic_evaluation import DynamicLearner
from charrnn.training.rollback import restored_weights
from charrnn.version import hash_sources

ROW_BYTES, MOST_DEFAULT_ROWS = 2**15, 64  # a row costs about six bytes: 0.1 % where it has so many bytes
NGRAM_STEPS = 32  # symbols after which n-grams learn, where the network does not
LEARNING_BLOCK = 2**18  # bytes in a block where a network learns, which is slow, so that blocks come now and then


@dataclass(frozen=True)
class Totals:
    """The bytes of an original, and those of its compressed file."""

    original: int
    compressed: int


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take all of them."""


@functools.cache
def arithmetic() -> int:
    """32 bits that change with any edit of the sources that can change a bit of what is coded."""
    package = Path(__file__).parent.parent
    places = ("kernels", "network", "compression", "inference/row_coder.py", "inference/sampler.py")
    ngrams = ("inference/ngrams.py", "inference/online_ngrams.py")
    learning = ("training/dynamic_evaluation.py", "training/optimizer.py", "config.py")
    return int(hash_sources(*(package / place for place in (*places, *ngrams, *learning)))[:8], 16)


class Method:
    """A network that says how likely each symbol is, and whether it learns while it reads.

    Args:
        network: the network.
        vocabulary: its symbols.
        online: how it goes on learning, or None.
        identity, name: of its checkpoint.
        packed: a checkpoint to put into compressed files, or nothing.
        ngrams: whether n-grams that learn the file are mixed with the network. Then there is one row.
    """

    block = LARGEST_BLOCK

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        identity: bytes,
        name: str = "",
        online: DynamicEvaluationConfig | None = None,
        packed: bytes = b"",
        ngrams: bool = False,
    ):
        self.network, self.alphabet, self.packed = network, Alphabet(vocabulary), packed
        self.identity, self._name, self._online, self._ngrams = identity, name, online, ngrams
        if self.learns:
            self.block = LEARNING_BLOCK

    @property
    def learns(self) -> bool:
        """Whether the network, or n-grams beside it, learn while they read."""
        return self._online is not None or self._ngrams

    @property
    def steps(self) -> int:
        """How many symbols of each row are learnt from at once; 0 if nothing learns."""
        if self._online is not None:
            return self._online.steps
        return NGRAM_STEPS if self._ngrams else 0

    def rows(self, size: int | None) -> int:
        """How many rows suit ``size`` bytes; None: more than a block.

        A network that learns has one row: the more rows, the later it learns from what is near.
        """
        if self.learns:
            return 1
        return MOST_DEFAULT_ROWS if size is None else max(1, min(size // ROW_BYTES, MOST_DEFAULT_ROWS))

    def header(self, rows: int) -> Header:
        """The header of a file that is made in this way.

        Raises:
            ConfigError: there are several rows, and n-grams learn one text.
        """
        if self._ngrams and rows != 1:
            raise ConfigError(f"n-grams learn one stream, not {rows}: leave the streams out")
        about = self.identity, self._name, len(self.packed), self._online
        return Header(rows, arithmetic(), *about, ngrams=self._ngrams)

    @contextmanager
    def coder(self, rows: int) -> Iterator[BlockCoder]:
        """A coder of blocks of ``rows`` rows. At the end the network's weights are as before."""
        weights: AbstractContextManager = restored_weights(self.network) if self.learns else nullcontext()
        with weights as original:
            network, learner, ngrams = self.network, None, None
            if self._online is not None:
                learner = _Online(network, original, self._online, rows)
            if self._ngrams:
                ngrams = OnlineNgrams(network.config.vocabulary, BESIDE_A_MODEL)
                learner = _Beside(ngrams, self.steps, learner)
            yield BlockCoder(network, self.alphabet, rows, learner, ngrams)


class _Online:
    """Dynamic evaluation as a :class:`charrnn.compression.blocks.Learner`."""

    def __init__(self, network: Network, original: np.ndarray, config: DynamicEvaluationConfig, rows: int):
        self.steps = config.steps
        self._learner, self._state = DynamicLearner(network, original, config), network.initial_state(rows)
        network.refresh(training=True)

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """Make an update."""
        self._learner.network.loss_and_gradient(x, y, self._state)
        self._learner.update()
        self._learner.network.refresh(training=True)


class _Beside:
    """N-grams that learn beside a network, which may learn, too; a :class:`charrnn.compression.blocks.Learner`."""

    def __init__(self, ngrams: OnlineNgrams, steps: int, network: _Online | None):
        self.steps, self._ngrams, self._network = steps, ngrams, network

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from one row."""
        self._ngrams.learn(x[:, 0])
        if self._network is not None:
            self._network.learn(x, y)


def kernels(config: ModelConfig, online: bool, ngrams: bool) -> list:
    """The kernels of a method beside those that read."""
    also = [*(dynamic_evaluation.kernels(config) if online else []), *(online_ngrams.kernels if ngrams else [])]
    return [*row_coder.kernels(config), *also]


def compress(
    source: BinaryIO,
    sink: Sink,
    method: Method,
    rows: int | None = None,
    size: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Totals:
    """Compress all that ``source`` still has into ``sink``, block by block.

    Args:
        source: is read to its end.
        sink: where the file goes.
        method: how.
        rows: how many rows a block has; None leaves it to the method and the size.
        size: bytes of the source, if they are known: for ``progress``, which is called with bytes done and all bytes.

    Raises:
        ConfigError: there are more rows than are allowed, or a network would learn from too many symbols at once.
        OSError: the source cannot be read, or the sink not written.
    """
    if rows is not None and not 1 <= rows <= MOST_ROWS:
        raise ConfigError(f"the number of streams must be from 1 to {MOST_ROWS}, not {rows}")
    blocks = _cut(source, method.alphabet, method.block)
    first = next(blocks, b"")
    if method.steps * (rows or 1) > LARGEST_WINDOW:
        raise ConfigError(
            f"a network learns from at most {LARGEST_WINDOW:,} symbols at once, not {method.steps} in {rows or 1} "
            "streams: choose shorter segments, or fewer streams"
        )
    rows = rows or method.rows(len(first) if len(first) < method.block // 2 else None)
    written = _Written(sink)
    written.write(method.header(rows).to_bytes())
    written.write(method.packed)
    digest, checksum, done = hashlib.sha256(), 0, 0
    with method.coder(rows) as coder:
        block, whole = first, size or 0
        while block:
            digest.update(block)
            checksum = zlib.crc32(block, checksum)
            symbols, escaped = method.alphabet.encode(block)
            report = _reporter(progress, done, len(block), len(symbols), whole)
            made = Block(CODED, len(block), checksum, len(symbols), escaped, tuple(coder.encode(symbols, report)))
            data = made.to_bytes()
            if len(data) > len(block):
                data = Block(STORED, len(block), checksum, data=block).to_bytes()
            written.write(data)
            done += len(block)
            block = next(blocks, b"")
    written.write(Block(END, done, data=digest.digest()[:DIGEST]).to_bytes())
    return Totals(done, written.size)


def decompress(
    source: BinaryIO,
    sink: Sink,
    method_of: Callable[[Header, bytes], Method],
    progress: ProgressCallback = no_progress,
    size: int | None = None,
) -> Totals:
    """Write the original of a compressed file to ``sink``. What is written is verified before.

    Args:
        source: the compressed file.
        sink: where the original goes.
        method_of: finds the method of a header and of the checkpoint that is packed in the file, if one is.
        progress: called with bytes of the compressed file read and all bytes.
        size: bytes of the compressed file, if they are known.

    Raises:
        CompressedError: the file is damaged, cut short, or not one of charrnn; or it was written with another
            arithmetic.
        CharRNNError: ``method_of`` does not find the model.
        OSError: the source cannot be read, or the sink not written.
    """
    file = Input(source)
    header = Header.read(file)
    method = method_of(header, _packed(file, header))
    digest, checksum, done, number = hashlib.sha256(), 0, 0, 0
    with method.coder(header.rows) as coder:
        while True:
            begun, number = file.position, number + 1
            block = Block.read(file, header.rows, number)
            if block.kind == END:
                break
            report = _reporter(progress, begun, file.position - begun, max(block.symbols, block.size), size or 0)
            if block.kind == CODED:
                data = _decoded(block, coder, header, report)
            else:  # the network reads it, as it did in the encoder
                data = block.data
                coder.encode(method.alphabet.encode(data)[0], report)
            checksum = zlib.crc32(data, checksum)
            if len(data) != block.size or checksum != block.checksum:
                raise _mismatch(header, f"block {number:,}")
            digest.update(data)
            sink.write(data)
            done += len(data)
            progress(file.position, size or 0)
    if done != block.size or digest.digest()[:DIGEST] != block.data:
        raise CompressedError("damaged (a block is missing, or comes twice)")
    if file.up_to(1):
        raise CompressedError("damaged (there is more after its end)")
    return Totals(done, file.position)


@dataclass(frozen=True)
class Listing:
    """What a compressed file says of itself: its header, and sizes in bytes. Nothing is decoded."""

    header: Header
    totals: Totals
    blocks: int


def listing(source: BinaryIO) -> Listing:
    """Read a compressed file, and compare the checksums of its parts.

    Raises:
        CompressedError: it is damaged, cut short, or not one of charrnn.
        OSError: it cannot be read.
    """
    file = Input(source)
    header = Header.read(file)
    _packed(file, header)
    done = number = 0
    while (block := Block.read(file, header.rows, number + 1)).kind != END:
        done, number = done + block.size, number + 1
    if done != block.size or file.up_to(1):
        raise CompressedError("damaged (its sizes do not add up)")
    return Listing(header, Totals(done, file.position), number)


def _packed(file: Input, header: Header) -> bytes:
    """The checkpoint inside a file, which has a checksum of its own."""
    data = file.up_to(header.packed)
    if len(data) < header.packed:
        raise CompressedError("damaged (it was cut short)")
    return data


def _decoded(block: Block, coder: BlockCoder, header: Header, report: Callable[[int], None]) -> bytes:
    try:
        return coder.alphabet.decode(coder.decode(block.symbols, block.codes, report), block.escaped)
    except CompressedError as error:
        raise (error if header.arithmetic == arithmetic() else _mismatch(header, "a block")) from None


def _mismatch(header: Header, what: str) -> CompressedError:
    """The error for bytes that are not the original's, although the file is as it was written, by its checksum."""
    if header.arithmetic != arithmetic():
        return CompressedError(
            f"{what} cannot be decoded: the file was written by another version of charrnn (arithmetic "
            f"{header.arithmetic:08x}, here {arithmetic():08x}): decompress it with that version"
        )
    return CompressedError(f"damaged ({what} is not what was compressed)")


def _cut(source: BinaryIO, alphabet: Alphabet, size: int) -> Iterator[bytes]:
    """The bytes of a stream in blocks of about ``size`` bytes, cut between characters."""
    held = b""
    while True:
        data = held
        while len(data) <= size and (more := source.read(size + 1 - len(data))):
            data += more
        if not data:
            return
        end = alphabet.whole(data, size)
        held = data[end:]
        yield data[:end]


def _reporter(progress: ProgressCallback, before: int, size: int, symbols: int, whole: int) -> Callable[[int], None]:
    """A function that reports the bytes done when some of a block's symbols are."""
    return lambda done: progress(before + size * done // symbols, whole)


class _Written:
    """A sink that counts."""

    def __init__(self, sink: Sink):
        self._sink, self.size = sink, 0

    def write(self, data: bytes) -> None:
        """Pass bytes on."""
        self.size += len(data)
        self._sink.write(data)
