"""Any bytes are compressed and come back: blocks, escapes, rows, pipes, learning; sizes are what the losses say."""

import io
import math
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processors import cache_of, grouped, narrower_processors
from teams import every_thread_works

from charrnn import load
from charrnn.checkpoints.identity import find_model, identity_of
from charrnn.compression import compressor
from charrnn.compression.compressor import Method, compress, decompress, listing
from charrnn.compression.container import MAGIC
from charrnn.compression.scratch import ScratchMethod
from charrnn.compression.symbols import Alphabet
from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import CompressedError, ConfigError, VocabularyError
from charrnn.model import Model
from charrnn.model.compressing import method_of
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.dynamic_evaluation import evaluate_dynamically

STRANGE = (
    b"",
    b"\0",
    b"\xef\xbb\xbfThe fox\r\nand\0\xff\xc3",
    "naïve 漢字 🦊 \ud800\udcff".encode("utf-8", "surrogatepass"),
    b"\xc3\xa9\xc3",
    b"\xa9\xc3" * 20,
    bytes(range(256)),
)


@pytest.fixture(scope="module")
def fox(model):
    """The trained model of the tests."""
    return load(model, threads=1)


def small(vocabulary, threads=1):
    return Model(Network(ModelConfig(len(vocabulary), 8, 1), seed=1, threads=threads), vocabulary)


LETTERS, BYTES, SOME_BYTES = (
    small(Vocabulary("\nabcdé漢🦊")), small(Vocabulary(range(256))), small(Vocabulary(b"abc\n")),
)  # fmt: skip


def streamed(data, method, rows=None, **how):
    sink = io.BytesIO()
    totals = compress(io.BytesIO(data), sink, method, rows, **how)
    assert totals.original == len(data) and totals.compressed == len(sink.getvalue())
    return sink.getvalue()


def back(packed, method):
    sink = io.BytesIO()
    assert decompress(io.BytesIO(packed), sink, lambda header, inside: method).compressed == len(packed)
    return sink.getvalue()


@pytest.mark.parametrize("made", [LETTERS, BYTES, SOME_BYTES], ids=["characters", "bytes", "some bytes"])
@pytest.mark.parametrize("data", STRANGE, ids=range(len(STRANGE)))
def test_strange_bytes_come_back(made, data):
    for streams in (None, 3):
        packed = made.compress(data, streams=streams)
        assert packed[:5] == MAGIC
        assert made.decompress(packed) == data


@settings(max_examples=40)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_come_back(data):
    for made in (LETTERS, SOME_BYTES):
        assert made.decompress(made.compress(data)) == data
    alphabet = Alphabet(LETTERS.vocabulary)
    assert alphabet.decode(*alphabet.encode(data)) == data


def test_many_blocks_cut_between_characters(monkeypatch):
    monkeypatch.setattr(Method, "block", 50)
    data = ("é漢🦊ab\n" * 200).encode() + b"\xff" * 300 + b"\xe6\xbc" * 100
    packed = streamed(data, method_of(LETTERS), 4)
    assert listing(io.BytesIO(packed)).blocks > len(data) // 50
    assert back(packed, method_of(LETTERS)) == data


def test_what_cannot_be_compressed_is_stored_and_hardly_grows(fox):
    import random

    data = random.Random(1).randbytes(9000)
    assert len(fox.compress(data)) < len(data) + 100
    assert fox.decompress(fox.compress(data)) == data
    online = fox.compress(data[:1500], online=True)
    assert len(online) < 1600
    assert fox.decompress(online) == data[:1500]


def test_the_size_is_what_evaluate_says(fox, text):
    data = text.read_bytes()
    said = fox.evaluate(data.decode()).bpc * len(data) / 8
    assert said < len(fox.compress(data)) < 1.005 * said + 100


def test_the_size_online_is_what_evaluate_online_says(fox, text):
    data = text.read_bytes()[:6000]
    found = evaluate_dynamically(fox.network, fox.encode(data.decode()))
    said = found.network.loss / math.log(2) * len(data) / 8
    packed = fox.compress(data, online=True)
    assert 0.999 * said < len(packed) < 1.005 * said + 100
    assert fox.decompress(packed) == data


def test_n_grams_that_learn_the_file(fox, model, text):
    data = text.read_bytes()[:4000] * 2 + "é\r\n".encode() * 30
    packed = fox.compress(data, ngrams=True)
    assert fox.decompress(packed) == data
    assert load(model, threads=2).compress(data, ngrams=True) == packed
    assert len(packed) < 0.8 * len(fox.compress(data))  # the second half is the first again
    both = fox.compress(data[:1500], ngrams=True, online=True)
    assert fox.decompress(both) == data[:1500]
    with pytest.raises(ConfigError, match="one stream"):
        fox.compress(data, ngrams=True, streams=2)


def test_learning_leaves_the_model_as_it_was(fox, text):
    before = fox.network.parameters.flat.copy()
    packed = fox.compress(text.read_bytes()[:500], online=True)
    fox.decompress(packed)
    assert (fox.network.parameters.flat == before).all()


def test_from_scratch(text):
    data = text.read_bytes()[:4000]
    packed = streamed(data, ScratchMethod(threads=1))
    assert len(packed) < len(zlib.compress(data, 9))
    assert back(packed, ScratchMethod(threads=1)) == data
    assert streamed(data, ScratchMethod(threads=2)) == packed
    with pytest.raises(ConfigError, match="one stream"):
        streamed(data, ScratchMethod(threads=1), 2)


def test_a_scratch_network_starts_from_the_same_weights_everywhere():
    """They come from NumPy's generator: if NumPy changed it, files would have to say which one made them."""
    flat = Network(ModelConfig(256, 128, 1), seed=1, threads=1).parameters.flat
    assert zlib.crc32(flat.tobytes()) == 0x60FB126F


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_change_a_byte(model, text, threads):
    data, alone = text.read_bytes()[:3000], load(model, threads=1)
    several = load(model, threads=threads)
    for how in ({"streams": 5}, {"streams": 1}):
        with every_thread_works(threads if how["streams"] > 1 else 1):
            assert several.compress(data, **how) == alone.compress(data, **how)
    with every_thread_works(threads):
        assert several.compress(data[:500], online=True, streams=3) == alone.compress(
            data[:500], online=True, streams=3
        )


SCRIPT = """
import io, sys
from charrnn import load
from charrnn.compression.compressor import compress
from charrnn.compression.scratch import ScratchMethod
model, data = load(sys.argv[1], threads=1), open(sys.argv[2], "rb").read()
scratch = io.BytesIO()
compress(io.BytesIO(data[:1000]), scratch, ScratchMethod(threads=1))
for packed in (model.compress(data, streams=5), model.compress(data[:1000], online=True), scratch.getvalue()):
    print(packed.hex())
print(model.compress(data[:1000], ngrams=True).hex())
"""


@pytest.mark.parametrize("processor", grouped(narrower_processors()), ids=lambda case: case[0])
def test_narrower_vectors_do_not_change_a_byte(model, text, tmp_path_factory, processor, monkeypatch):
    name, variables = processor
    found = []
    for place, environment in (("own", {}), (name, variables)):
        with monkeypatch.context() as patch:
            for key, value in environment.items():
                patch.setenv(key, value)
            if place != "own":
                patch.setenv("CHARRNN_CACHE", str(cache_of(tmp_path_factory, name)))
            command = [sys.executable, "-c", SCRIPT, str(model), str(text)]
            found.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert found[0] == found[1]
    assert load(model).decompress(bytes.fromhex(found[1][0])) == text.read_bytes()


# Models


def test_another_model_is_refused_with_the_name_of_the_right_one(fox):
    packed = fox.compress(b"The fox")
    with pytest.raises(CompressedError, match=f"the model {identity_of(fox.checkpoint).hex()}, not with this model"):
        LETTERS.decompress(packed)
    with pytest.raises(CompressedError, match="from scratch"):
        fox.decompress(streamed(b"The fox", ScratchMethod(threads=1)))


def test_a_model_is_found_by_its_identity(model, runs, fox, tmp_path):
    wanted = identity_of(fox.checkpoint)
    assert identity_of(find_model(wanted, folder=runs)) == wanted
    fox.save(tmp_path / "given.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    assert identity_of(find_model(wanted, "given", tmp_path)) == wanted
    assert find_model(bytes(16), folder=runs) is None


def test_a_model_inside(fox):
    packed = fox.compress(b"The fox and the heron", with_model=True)
    assert fox.decompress(packed) == b"The fox and the heron"
    assert listing(io.BytesIO(packed)).header.packed > 4 * fox.network.parameters.size


def test_ensembles_and_wrong_settings_are_refused(fox, model):
    with pytest.raises(ConfigError, match="single network"):
        load(model, model).compress(b"x")
    for streams in (0, 257):
        with pytest.raises(ConfigError, match="from 1 to 256"):
            fox.compress(b"x", streams=streams)
    method = method_of(fox, online=DynamicEvaluationConfig(steps=100_000))
    with pytest.raises(ConfigError, match="at once"):
        streamed(b"x", method)


def test_another_arithmetic_is_named(fox, monkeypatch):
    monkeypatch.setattr(compressor, "arithmetic", lambda: 0x1234)
    packed = bytearray(fox.compress(b"The fox and the heron" * 20))
    monkeypatch.undo()
    assert fox.decompress(bytes(packed)) == b"The fox and the heron" * 20  # it differs in name only
    other = load_with_other_weights(fox)
    with pytest.raises(CompressedError, match="another version of charrnn"):
        decompress(io.BytesIO(bytes(packed)), io.BytesIO(), lambda header, inside: other)


def load_with_other_weights(fox):
    changed = Model.from_checkpoint(fox.checkpoint, threads=1)
    changed.network.parameters["b_out"][:] += 0.1 * (1 + (changed.network.parameters["b_out"] > 0))
    changed.network.parameters_changed()
    return method_of(changed)


def test_progress_reaches_the_end(fox, text):
    data, seen = text.read_bytes()[:5000], []
    packed = streamed(data, method_of(fox), size=len(data), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5000, 5000)
    assert seen == sorted(seen)
    seen.clear()
    decompress(
        io.BytesIO(packed), io.BytesIO(), lambda header, inside: method_of(fox),
        lambda done, total: seen.append((done, total)), len(packed),
    )  # fmt: skip
    assert seen == sorted(seen) and seen[-1][0] <= len(packed)


def test_a_text_with_unknown_characters_costs_little_more(fox, text):
    plain = text.read_text()[:8000]
    with pytest.raises(VocabularyError):
        fox.encode(plain.replace("\n", "\r\n"))
    with_returns = plain.replace("\n", "\r\n").encode()
    packed = fox.compress(with_returns)
    assert fox.decompress(packed) == with_returns
    assert len(packed) < 1.25 * len(fox.compress(plain.encode()))
