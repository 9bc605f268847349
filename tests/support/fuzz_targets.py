"""The functions that are fuzzed. Each accepts its bytes or refuses them in one short line.

tests/test_fuzz.py gives each a few hundred inputs, benchmarks/fuzz.py millions.
"""

import contextlib
import io
import json
import zlib
from functools import cache
from pathlib import Path
from pickle import dumps as dumps_of_python

import click
import numpy as np
import safetensors.numpy
from command_line import FABLES
from expressions import compiled
from forgeries import description_of, forged, header_size, load, make
from fuzzing import TARGETS, healthy, in_file, target
from pytorch_files import (
    Writer,
    archive,
    built,
    call,
    doubled,
    name,
    name_from_stack,
    nested,
    old,
    pickle,
    state_dict,
)
from torch7_files import Function, char_rnn, dumps, torch_rnn

from charrnn.checkpoints import run_folder
from charrnn.checkpoints.checkpoint import SET_KEY, Checkpoint, checksum
from charrnn.checkpoints.foreign import pickled_values, t7_file, to_pytorch, vocabularies
from charrnn.checkpoints.foreign.importing import import_model
from charrnn.checkpoints.foreign.tensors import KINDS, Tensor
from charrnn.checkpoints.foreign.trees import containers
from charrnn.checkpoints.foreign.vocabularies import listed
from charrnn.checkpoints.model_set import ModelSet
from charrnn.checkpoints.seals import SealedLog
from charrnn.commands import charrnn as command
from charrnn.commands.info import _record
from charrnn.compression.compressor import Totals, decompress, listing
from charrnn.compression.packed import unpacked
from charrnn.config import ModelConfig
from charrnn.display.reports.checkpoint import checkpoint_lines
from charrnn.display.reports.names import tracks
from charrnn.display.terminal.console import Terminal
from charrnn.errors import CharRNNError
from charrnn.inspection.masks import read_mask
from charrnn.inspection.naming_cache import NamingCache
from charrnn.inspection.passage import Passage
from charrnn.model import Model
from charrnn.model.compressing import method_for
from charrnn.model.identifier import Identifier
from charrnn.network.cells import cell_of, parameter_shapes
from charrnn.network.network import Network
from charrnn.sanitise import escaped, visible
from charrnn.system import strict_json
from charrnn.text.automaton import MOST_BYTE_STATES, matching
from charrnn.text.catalog import load_catalog
from charrnn.text.code_ranges import LARGEST
from charrnn.text.corpus import split
from charrnn.text.decoding import Pass, check_encoding
from charrnn.text.expression import parse
from charrnn.text.id_cache import Entry
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary
from charrnn.verification.verified import VerifiedSegments

__all__ = ["TARGETS"]  # every target below registers itself there


def npy(values: np.ndarray) -> bytes:
    """The array as a .npy file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def show(data: bytes) -> None:
    """Load a checkpoint and show it as `info` does."""
    found = load(data)
    with contextlib.closing(io.TextIOWrapper(io.BytesIO(), "utf-8")) as out:
        terminal = Terminal(stdout=out, stderr=out)
        record = _record(Path("a"), found)
        terminal.show(*checkpoint_lines(record, cell_of(found.model).title, terminal.width))
        terminal.json(record)


# Checkpoints


@target(healthy, lambda: healthy(with_run=False), lambda: healthy(embedding=3, symbols="ab"), b"")
def checkpoint(data: bytes) -> None:
    """Any bytes as a checkpoint."""
    show(data)


@target(lambda: healthy()[8 : header_size(healthy())], b'{"__metadata__": {}}')
def header(data: bytes) -> None:
    """Any header before the tensors of a valid checkpoint."""
    show(len(data).to_bytes(8, "little") + data + healthy()[header_size(healthy()) :])


@target(lambda: json.dumps(description_of(healthy())).encode(), lambda: b"[" * 5000)
def description(data: bytes) -> None:
    """Any text as a description, with the right checksum."""
    show(forged(healthy(), data.decode("utf-8", "replace")))


@target(b"config hidden 6", b"progress step -1", b"history 0 val_loss null", b"vocabulary 0 [1]", b"training lr 1e999")
def content(data: bytes) -> None:
    """A description with changed values. Each line of ``data`` has the path of a key and a JSON value."""
    about = description_of(healthy())
    for line in data.decode("utf-8", "replace").splitlines():
        *path, value = line.split(" ")
        inner = about
        for step in path[:-1]:
            found = (
                inner[int(step)] if isinstance(inner, list) and step.isdecimal() and int(step) < len(inner) else None
            )
            found = inner.get(step) if isinstance(inner, dict) else found
            inner = found if isinstance(found, dict | list) else inner
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
        if isinstance(inner, dict) and path:
            inner[path[-1]] = value
        elif isinstance(inner, list):
            inner[:1] = [value]
    if about == description_of(healthy()):
        raise CharRNNError("nothing is forged")
    with contextlib.suppress(RecursionError):  # from json.dumps: such a file cannot be written
        show(forged(healthy(), json.dumps(about)))


@target(b'["a", "b"]', b"[0, 255, 10]", '["\\n", "é", "🦊"]'.encode())
def vocabulary(data: bytes) -> None:
    """Any JSON as a vocabulary, and a round trip through it."""
    try:
        value = strict_json.parse(data)
    except ValueError as error:
        raise CharRNNError(str(error)) from None
    made = Vocabulary.from_list(value)
    ids = np.arange(len(made))
    assert made.to_list() == value
    assert (made.encode(made.decode(ids)) == ids).all()
    made.encode(data if made.is_bytes else data.decode("utf-8", "replace"), "replace")


# Files of other programs


@cache
def weights() -> dict[str, np.ndarray]:
    """The state dict of a small LSTM."""
    return state_dict(np.random.default_rng(6), vocabulary=3, hidden=2, layers=1, embedding=2)


@cache
def transformer() -> dict[str, np.ndarray]:
    """What a small Transformer is exported as for PyTorch."""
    model = ModelConfig(3, 2, 1, cell="transformer", heads=2, context=3)
    parameters = {name: np.ones(shape, np.float32) for name, shape in parameter_shapes(model).items()}
    return to_pytorch.tensors(Checkpoint(model, Vocabulary("abc"), parameters=parameters))


def go_through(tree) -> None:
    """Ask for all that an import could ask of a tree: paths, vocabularies, tensors."""
    for place, value in containers(tree):
        assert len(str(place)) < 10_000
        listed(value)
        for each in value.values() if isinstance(value, dict) else value:
            if isinstance(each, Tensor):
                with contextlib.suppress(CharRNNError):
                    assert each.to_float32().shape == each.shape


@target(
    lambda: char_rnn(b"ab\xff", 2, 1)[0], lambda: torch_rnn("ab", 2, 1, 2)[0], lambda: dumps({"f": Function(), 1: None})
)
def torch7(data: bytes) -> None:
    """Any bytes as a value of Torch 7."""
    tree, seen = t7_file.read(data), set()
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, t7_file.Table) and id(value) not in seen:
            seen.add(id(value))
            waiting += [*value.fields.values(), *value.fields]
        elif isinstance(value, Tensor):
            with contextlib.suppress(CharRNNError):
                assert value.to_float32().shape == value.shape


STRANGE_TENSORS = ({"strides": (2**62, 1)}, {"shape": (0, 5)}, {"shape": (0, 2**62)})


@target(
    lambda: pickle(Writer().tree({"state": weights(), "chars": list("abc"), "n": [1, -2.5, None, True, ("x",)]})),
    lambda: pickle(built(call(name("torch.nn", "Module")), {"_modules": {}, "_parameters": Writer().tree(weights())})),
    lambda: dumps_of_python({"a": [1, 2], "b": {"c": (1.5, "é", b"x", {1}, frozenset("a"))}, "d": 2**70}),
    lambda: pickle([Writer().tensor(np.ones((1, 3)), **lies) for lies in STRANGE_TENSORS]),
    lambda: pickle(Writer().tensor(np.ones((1, 3)), shape=(1,) * 16, strides=(0,) * 17)),
    lambda: pickle(name_from_stack("a", nested(3_000))),
    lambda: pickle(name_from_stack(doubled(100), "a")),
)
def pickled(data: bytes) -> None:
    """Any bytes as the pickle of a file of PyTorch. Its storages are as long as they say, up to a limit."""

    def load(storage):
        if storage.length > 1000:
            raise CharRNNError("too long")
        return np.zeros(storage.length, KINDS[storage.kind])

    go_through(pickled_values.read(io.BytesIO(data), load, {}))


@target(
    lambda: archive({"state": weights(), "chars": list("abc")}),
    lambda: old({"state": weights(), "chars": list("abc")}),
    lambda: safetensors.numpy.save(weights(), {"vocab": '["a", "b", "c"]'}),
    lambda: safetensors.numpy.save(transformer()),
    lambda: char_rnn(b"abc", 2, 1)[0],
    lambda: torch_rnn("abc", 2, 1, 2)[0],
)
def foreign(data: bytes) -> None:
    """Any bytes as the file of another program's model."""
    found, about = import_model(in_file(data))
    assert about.isprintable()
    assert {name: value.shape for name, value in found.parameters.items()} == parameter_shapes(found.model)
    assert len(found.vocabulary) == found.model.vocabulary
    json.loads(found.to_json())


@target(
    b'["a", "b", "c"]', b'{"a": 0, "b": 1, "c": 2}', b'{"0": "a", "1": "b", "2": "c"}', b"[[[9, 8, 7]]]", b"[9, 8, 7]"
)
def symbols(data: bytes) -> None:
    """A file of JSON as the vocabulary of a model of three symbols."""
    assert len(vocabularies.read(in_file(data), 3)) == 3


# Compressed files


@cache
def compressing() -> Model:
    """A small model of characters."""
    return Model(Network(ModelConfig(6, 8, 1), seed=1, threads=1), Vocabulary("\nabcé🦊"))


def unpack(data: bytes) -> None:
    """Decompress, with no model but the small one; what comes out says what is compressed again."""
    sink = io.BytesIO()

    def method_of(header, packed):
        if header.recipe is not None:
            raise CharRNNError("networks of any size would take long")
        model = Model.from_checkpoint(unpacked(packed, header), 1) if packed else compressing()
        return method_for(model, header)

    try:
        decompress(io.BytesIO(data), sink, method_of)
    finally:
        listed = None
        with contextlib.suppress(CharRNNError):
            listed = listing(io.BytesIO(data))
    assert listed is not None and listed.totals == Totals(len(sink.getvalue()), len(data))
    assert compressing().decompress(compressing().compress(sink.getvalue())) == sink.getvalue()


FOXES, BYTES = Vocabulary("\n -.019Aabcdxyzé漢🦊"), Vocabulary(range(256))
FOX = "a cab 🦊\r\n".encode() * 5 + b"\xff"
COMPRESSED_HEADER = 13 + 17 + 4


@target(
    rb"\d{4}-(0[1-9]|1[0-2])", b"a{1,99999999999}", "[^é\\W](?:🦊+|漢{2,})??".encode(), b"(" * 90 + b"a*" + b")*" * 90,
    b"^(?P<x>[]a-c\\]]|\\x41)$", b"(?=a)(?i)\\1\\b", b"\\N{EM DASH}\\u00e9(?#x)\\101", b"a{,3}?b{2}c*?|", b"",
)  # fmt: skip
def expression(data: bytes) -> None:
    """Any text as an expression: what is accepted is one for Python, too."""
    text = data.decode("utf-8", "surrogateescape")
    parse(text)
    # Python refuses counts of more than 32 bits, and of thousands of digits, in its own ways.
    with contextlib.suppress(OverflowError, ValueError):
        compiled(text)


@target(
    rb"\d{4}-(0[1-9]|1[0-2])", b"(a|b)*a(a|b){20}", b"((a{100}){100}){100}", "[^é\\W](?:🦊+|漢{2,})??".encode(),
    b"(" * 90 + b"a*" + b")*" * 90, b"[a-c]|(.*a){30}", b"a{1,9999}", b"(a?){9000}", b"",
)  # fmt: skip
def automaton(data: bytes) -> None:
    """Any text as an expression, for models of characters and of bytes: in every state a text can be finished."""
    text = data.decode("utf-8", "surrogateescape")
    for vocabulary in (FOXES, BYTES):
        found = matching(text, vocabulary, text[:1] if len(text) % 3 == 0 else "")
        assert 0 <= found.distance.min() <= found.distance.max() < len(found.distance)
        assert found.following.max() < len(found.distance) <= MOST_BYTE_STATES
        behind = np.where(found.following < 0, LARGEST, found.distance[found.following]).min(axis=1)
        assert ((found.distance == 0) | (found.distance == behind + 1)).all()


@target(
    lambda: compressing().compress(FOX, streams=3), lambda: compressing().compress(FOX, online=True),
    lambda: compressing().compress(FOX, with_model=True), lambda: compressing().compress(bytes(range(256))), b"",
)  # fmt: skip
def compressed(data: bytes) -> None:
    """Any bytes as a compressed file."""
    unpack(data)


@target(lambda: compressing().compress(FOX)[:COMPRESSED_HEADER][:-4], b"\x8fCRNN\1\4\1\0" + bytes(19))
def compressed_header(data: bytes) -> None:
    """Any header, with the right checksum, before valid blocks."""
    unpack(data + zlib.crc32(data).to_bytes(4, "little") + compressing().compress(FOX)[COMPRESSED_HEADER:])


@target(lambda: compressing().compress(FOX)[COMPRESSED_HEADER:-18], b"\2\3\0\0\0\0abc", b"\1\x80\x80\x80\2" + bytes(9))
def compressed_block(data: bytes) -> None:
    """Any block, with the right checksum, after a valid header."""
    packed = compressing().compress(FOX)
    unpack(packed[:COMPRESSED_HEADER] + data + zlib.crc32(data).to_bytes(4, "little") + packed[-14:])


# Sets of models


@cache
def model_set() -> ModelSet:
    """A small set of models."""
    texts = {"fox": b"a cab", "\u6f22": bytes(range(256))}
    return ModelSet(3, {name: np.frombuffer(text, np.uint8) for name, text in texts.items()})


@target(lambda: model_set().to_bytes(), lambda: ModelSet(1, dict(list(model_set().texts.items())[:1])).to_bytes(), b"")
def several_models(data: bytes) -> None:
    """Any bytes as a set of models, which then identifies some of them."""
    found = Identifier.from_set(ModelSet.read(io.BytesIO(data)), threads=1)
    assert found.identify(data[:500]).probabilities.keys() == {*found.names, "none"}


@target(lambda: json.dumps({"format": 1, "order": 3, "names": ["a", "b"]}).encode(), b"[" * 5000, b'{"format": 1}')
def set_description(data: bytes) -> None:
    """Any text as the description of a set, with the right checksum."""
    tensors = {f"text.{number}": text for number, text in enumerate(model_set().texts.values())}
    about = data.decode("utf-8", "replace")
    ModelSet.read(io.BytesIO(safetensors.numpy.save(tensors, {SET_KEY: about, "sha256": checksum(about, tensors)})))


# Texts


@target(b"utf-8\0caf\xc3\xa9\r\n", b"utf-16\0\xff\xfea\0b\0", b"cp1252\0caf\xe9", b"utf-7\0+AGE-", b"idna\0xn--a.b")
def decoder(data: bytes) -> None:
    """The name of an encoding, a zero byte, and a text, which is counted, encoded and decoded again."""
    name, _, text = data.partition(b"\0")
    codec = check_encoding(name.decode("utf-8", "surrogateescape"))
    sources = [Source.from_data(text, "one"), Source.from_data(text + b"\n", "two")]
    found = Vocabulary.from_counts(Pass(sources[:1], codec, lambda size: None).counts(), max_size=1_200_000)
    ids = [*Pass(sources[:1], codec, lambda size: None).ids(found, "error", "unknown")]
    decoded = found.decode(np.concatenate(ids))
    if codec == "utf-8":
        assert decoded == text.decode().removeprefix("\ufeff")
    list(Pass(sources, codec, lambda size: None).ids(found, "replace", "unknown"))


@target(
    lambda: npy(np.arange(5.0)),
    lambda: npy(np.arange(5) % 2 == 0),
    lambda: npy(np.arange(5, dtype=">u2")),
    lambda: npy(np.arange(5)).replace(b"'<i8', ", b"'1 1 0>u1',"),
    *(b"0 1 0 1 1", b"01011", b"1e3 -2 .5 inf nan"),
)
def mask(data: bytes) -> None:
    """A file of numbers, one for each character of a text."""
    values = read_mask(in_file(data), 5).label(Passage.from_string("abcde"))
    assert values.shape == (5,)
    assert np.isfinite(values).all()


@target(b"90/10/0", b"50/50", b"33.3/33.3/33.4")
def fractions(data: bytes) -> None:
    """The fractions of a split."""
    parts = split(1000, data.decode("utf-8", "surrogateescape"))
    assert [part.start for part in parts] == [0, parts[0].stop, parts[1].stop]


# What users write


@target(
    b"train\0a.txt\0--hidden\0" + b"20\0--time-budget\0" + b"3m\0--lr\0" + b"1e-3",
    b"sample\0a\0--compare\0" + b"0.3,0.7\0--top-p\0" + b"0.5\0-n\0" + b"9",
    b"inspect\0a\0--text\0x\0--cell\0" + b"1:3\0--signal\0h",
    b"evaluate\0a\0--part\0test\0--online-lr\0" + b"0.1",
    b"corpus\0stats\0x\0--encoding\0latin-1",
    b"bench\0--seconds\0nan",
    repeats=True,
)
def options(data: bytes) -> None:
    """A command line, which is parsed but not run."""
    arguments = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\0")]
    # Options that read files have their own targets.
    arguments = [each for each in arguments if not each.startswith(("--config", "--prime-f", "-h", "--help"))]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        context = click.Context(command, **command.context_settings)  # whose help options click keeps
        name, found, rest = command.resolve_command(context, arguments or [""])
        with found.make_context(name, rest, parent=context):
            pass


@target(
    b'hidden = 20\nlr = 1e-3\ntime-budget = "3m"\n',
    b"hidden = 0x" + b"f" * 6000,
    b"a = " + b"[" * 5000,
    b"[table]\nhidden = 5\n",
    b"hidden = 20\nhidden = 30",
    b"hidden = " + b"9" * 5000,
    repeats=True,
)
def settings(data: bytes) -> None:
    """A file of settings for --config."""
    context = click.Context(command, **command.context_settings)
    train, words = command.get_command(context, "train"), ["--config", str(in_file(data)), "a"]
    with contextlib.redirect_stderr(io.StringIO()), train.make_context("train", words, parent=context):
        pass


@target(
    lambda: (FABLES.parent.parent / "charrnn" / "text" / "catalog.toml").read_bytes(),
    b"x = " + b"[" * 5000,
    b'[a]\nkind = "built-in"\ntitle = "t"\nlicence = "l"\nnote = "n"\n',
)
def catalog(data: bytes) -> None:
    """A catalog of texts."""
    for entry in load_catalog(in_file(data)).values():
        assert "/" not in entry.name and ".." not in entry.name
        entry.path(Path("a"))


# What is kept on disk


@target(b'{"files": [], "ids": "x", "vocabulary": ["a"]}', b"{", b"[" * 5000)
def cache_file(data: bytes) -> None:
    """The JSON file of an entry in the id cache."""
    entry = Entry([], [])
    entry._path = in_file(data)
    assert entry.load() is None  # no id file belongs to it


CELL = {"layer": 1, "unit": 2, "hypothesis": "word", "measure": "auc", "value": 0.75}


@target(*(json.dumps({"format": 1, "key": "k", "cells": cells}).encode() for cells in ([], [CELL])), b"[" * 5000)
def names_of_cells(data: bytes) -> None:
    """The JSON file that keeps what cells track."""
    cache = NamingCache(Model.from_checkpoint(make(), threads=1), Path("no-such-folder"))
    cache.places, cache._key = [in_file(data)], "k"
    said = []
    for (layer, unit), tracked in (cache.load(said.append) or {}).items():
        assert 0 <= layer < 2 and 0 <= unit < 5
        assert visible(tracks(tracked)) == tracks(tracked)
    assert all(len(line) < 500 for line in said)


@target(b'{"event": "step", "step": 3}', b'{"event": "step", "step": 1e999}', b"[" * 5000, b"9" * 5000)
def log_line(data: bytes) -> None:
    """A line of metrics.jsonl."""
    assert isinstance(run_folder._recorded_step(data), float)


SEAL = json.dumps({"event": "sealed", "step": 1, "log": "0" * 64, "files": {"kept/00000001.safetensors": "a" * 64}})


@target(f'{{"event": "step", "step": 1, "epoch": 0, "loss": 1}}\n{SEAL}\n'.encode(), f"{SEAL}\n".encode() * 3)
def sealed_log(data: bytes) -> None:
    """A log with digests, for `verify`."""
    found = SealedLog.read(in_file(data))
    assert len(found.digest) == 64
    assert all(at.stop > at.start for at in found.positions)
    assert all(not Path(name).is_absolute() and ".." not in name for name in found.digests())


@target(json.dumps({"format": 1, "verified": ["0" * 64]}).encode(), b'{"format": 1, "verified": 3}', b"[" * 5000)
def verified_segments(data: bytes) -> None:
    """The file that keeps which segments of a run are verified."""
    cache, said = VerifiedSegments("x"), []
    cache.path = in_file(data)
    assert all(len(each) == 64 for each in cache.load(said.append))
    assert all(len(line) < 500 for line in said)


# What is shown


@target("\x1b[31m\x9b2J\u202eabc\ud800".encode("utf-8", "surrogatepass"), "\x1b]52;c;aGk=\x07é漢🦊".encode())
def screen(data: bytes) -> None:
    """Text on its way to a terminal, whole and cut."""
    text = data.decode("utf-8", "surrogateescape") + "".join(map(chr, np.frombuffer(data[: len(data) // 2 * 2], "<u2")))
    shown = visible(text)
    assert len(shown) == len(text)
    assert visible(shown) == shown
    assert "".join(map(visible, text)) == shown
    assert not any(sign in shown for sign in "\x1b\x07\r\x9b\x9d\x90\u202e\u2066\u200f")
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert visible(line, "") == line
