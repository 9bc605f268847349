"""A model: a trained network with its vocabulary. Text goes in; text, losses and arrays come out."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import load_checkpoint
from charrnn.config import DynamicEvaluationConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.constraint import Constraint, constraint_of
from charrnn.inference.ensemble import Ensemble, require_one_vocabulary
from charrnn.inference.loss import Evaluation, evaluate
from charrnn.inference.mixture import Mixture, networks_of
from charrnn.inference.ngrams import Ngrams
from charrnn.inference.sampler import Choice, Sampler
from charrnn.model.reading import Reading, shown_values
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.sanitise import visible
from charrnn.text.vocabulary import REPLACEMENT, Unknown, Vocabulary

if TYPE_CHECKING:
    from charrnn.model.line_scores import LineScore

Text = str | bytes

CHUNK, BATCH_CHUNK = 64, 4096  # characters drawn at a time, for one text and for many
LARGEST = 2**28  # numbers that a reading may have: a gigabyte or two
_LONGEST_NAME = 40  # characters of a text's name in a repr


def load(
    path: str | Path,
    *others: str | Path,
    threads: int | None = None,
    warn: Callable[[str], None] = warnings.warn,
    needs: Callable[[Checkpoint], Sequence[object]] = lambda checkpoint: [],
) -> "Model":
    """Load a model from the folder of a run (its best checkpoint, else its last) or from a file.

    If the best checkpoint is damaged, the last one is loaded, or the one before it, and ``warn`` is called with a
    message. With ``others``, the model is an ensemble: the probabilities of all models are averaged. They must have the
    same vocabulary, but can differ in size.  ``needs`` returns kernels that a checkpoint's model will need later: they
    are compiled together with those that are needed at once.

    Raises:
        CheckpointError: there is no checkpoint, or none that is undamaged.
        VocabularyError: the models do not have the same characters in the same order.
    """
    paths = [path, *others]
    checkpoints = [load_checkpoint(Path(each), warn=warn) for each in paths]
    require_one_vocabulary([(str(each), found.vocabulary) for each, found in zip(paths, checkpoints, strict=True)])
    for checkpoint in checkpoints:
        Network.prepare(checkpoint.model, *needs(checkpoint))
    models = [Model.from_checkpoint(checkpoint, threads) for checkpoint in checkpoints]
    if not others:
        return models[0]
    networks = [network for model in models for network in networks_of(model.network)]
    return Model(Ensemble(networks), models[0].vocabulary, models[0].checkpoint)


class Model:
    """A network, an ensemble of several, or a mixture with n-grams, with its vocabulary.

    ``checkpoint`` is the checkpoint of the (first) network, or None. Texts are ``str``, or ``bytes`` for a model of
    bytes (``model.vocabulary.is_bytes``).

    >>> import charrnn
    >>> model = charrnn.load(checkpoint)
    >>> len(model.sample("The ", length=20, temperature=0.8, seed=1))
    20
    >>> model.sample("The ", length=20, seed=1) == model.sample("The ", length=20, seed=1)
    True
    >>> 0 < model.loss("The fox and the heron.") < 10
    True
    >>> common, odd = model.score(["The fox and the hen.", "Zqx#"])
    >>> common.bits_per_character < odd.bits_per_character
    True
    >>> signals = model.activations("The fox")
    >>> signals["c"].shape == (7, model.network.config.layers, model.network.config.hidden)
    True
    >>> packed = model.compress(b"The fox and the heron. The fox and the crane.")
    >>> model.decompress(packed)
    b'The fox and the heron. The fox and the crane.'
    """

    def __init__(
        self, network: Network | Ensemble | Mixture, vocabulary: Vocabulary, checkpoint: Checkpoint | None = None
    ):
        self.network, self.vocabulary, self.checkpoint = network, vocabulary, checkpoint
        self._mixed: Model | None = None

    def __repr__(self) -> str:
        networks = networks_of(self.network)
        sizes = " and ".join(f"{each.cell.title} {each.config.layers} x {each.config.hidden}" for each in networks)
        what = f"ensemble of {sizes}" if len(networks) > 1 else sizes
        if isinstance(self.network, Mixture):
            what += f" with n-grams of up to {self.network.ngrams.order} characters"
        parameters = sum(each.parameters.size for each in networks)
        symbols = "bytes" if self.vocabulary.is_bytes else "characters"
        parts = [what, f"{parameters:,} parameters", f"{len(self.vocabulary):,} {symbols}", *self._provenance()]
        return f"<Model: {', '.join(parts)}>"

    def _provenance(self) -> Iterator[str]:
        """The text's name and the validation loss, as far as the checkpoint has them; anybody may have written it."""
        if self.checkpoint is None or len(networks_of(self.network)) > 1:
            return
        sources = [each for each in self.checkpoint.corpus.get("sources", ()) if each != "-"]
        if sources:
            name = visible(Path(sources[0]).name or sources[0], "")
            yield name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        loss = self.checkpoint.counters.get("best_val_loss")
        if loss is not None:
            alone = " of the network alone" if isinstance(self.network, Mixture) else ""
            yield f"validation loss {loss:.4f}{alone}"

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint, threads: int | None = None) -> "Model":
        """The model that a checkpoint holds."""
        network = Network(checkpoint.model, seed=None, threads=threads)
        network.set_parameters(checkpoint.parameters)
        return cls(network, checkpoint.vocabulary, checkpoint)

    def mixed(self, progress: ProgressCallback = no_progress) -> "Model | None":
        """The model that mixes the network with the n-grams of its checkpoint, or None if that has none.

        The n-grams have learnt the text that the model was trained on: a loss of the mixture on that text means little.
        They learn it again when this is called for the first time, about a second for a megabyte.
        """
        if isinstance(self.network, Mixture):
            return self
        if self._mixed is not None or self.checkpoint is None:
            return self._mixed
        settings, text = self.checkpoint.ngrams, self.checkpoint.ngram_text
        if settings is None or text is None:
            return None
        ngrams = Ngrams(len(self.vocabulary), settings.order)
        ngrams.learn(text, progress)
        mixture = Mixture(self.network, ngrams, (settings.network_weight, settings.ngram_weight))
        self._mixed = Model(mixture, self.vocabulary, self.checkpoint)
        return self._mixed

    def encode(self, text: Text, unknown: Unknown | None = None) -> npt.NDArray[np.int32]:
        """The ids of a text, (N,) int32.

        ``unknown`` says what to do with characters that the model does not know: "error", "skip" or "replace". None
        means "replace" if rare characters became U+FFFD when the model was trained, else "error".

        Raises:
            VocabularyError: the model does not know a character.
        """
        if unknown is None:
            unknown = "error" if self.vocabulary.is_bytes or REPLACEMENT not in self.vocabulary else "replace"
        return self.vocabulary.encode(text, unknown=unknown)

    def prime(self, text: Text, unknown: Unknown | None = None) -> npt.NDArray[np.int32]:
        """The ids (N,), N >= 1, that a sampler reads first: the ids of the text, or a line start if there are none."""
        ids = self.encode(text, unknown) if text else np.zeros(0, np.int32)
        if len(ids):
            return ids
        return np.array([self.vocabulary.line_start], np.int32)

    def sampler(
        self,
        prime: Text = "",
        streams: int = 1,
        choice: Choice | None = None,
        seed: int = 0,
        unknown: Unknown | None = None,
        constraint: Constraint | None = None,
    ) -> Sampler:
        """A sampler of ids that has read ``prime``; see :class:`charrnn.inference.sampler.Sampler`.

        Raises:
            VocabularyError: ``prime`` has a character that the model does not know.
        """
        ids = self.prime(prime, unknown)
        return Sampler(self.network, ids, streams, choice, seed, constraint)

    def constraint(self, match: str | None = None, without: str = "", length: int = 500) -> Constraint:
        """What :meth:`sampler`, :meth:`stream` and :meth:`sample_many` take for ``match`` and ``without``.

        Args:
            match: a regular expression in the syntax of ``re`` that a whole text matches. A text has at most ``length``
                characters. It ends where nothing may follow; and where it may end, but a newline must not follow, with
                the probability of a newline.
            without: characters that a text does not have.
            length: the most characters of a text that matches.

        Raises:
            ConfigError: the expression is not supported or needs too many states, or no text obeys.
        """
        return constraint_of(self.vocabulary, length, match, without)

    def stream(
        self,
        prime: Text = "",
        length: int = 500,
        choice: Choice | None = None,
        seed: int = 0,
        unknown: Unknown | None = None,
        chunk: int = CHUNK,
        constraint: Constraint | None = None,
    ) -> Iterator[Text]:
        """Write ``length`` characters after ``prime``, fewer if a ``constraint`` ends the text, ``chunk`` at a time."""
        sampler = self.sampler(prime, 1, choice, seed, unknown, constraint)
        for start in range(0, length, chunk):
            if sampler.ended:
                return
            yield self.written(sampler.draw(min(chunk, length - start))[:, 0])

    def written(self, ids: npt.NDArray[np.int32]) -> Text:
        """The text of ids (N,) that a stream of a sampler has drawn, up to its end."""
        return self.vocabulary.decode(ids[ids >= 0])

    def sample(
        self,
        prime: Text = "",
        length: int = 500,
        temperature: float = 1.0,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        seed: int = 0,
        unknown: Unknown | None = None,
        match: str | None = None,
        without: str = "",
    ) -> Text:
        """A text of ``length`` characters that continues ``prime``; it does not include ``prime``.

        Args:
            prime: the text that the model reads before it writes.
            length: number of characters to write.
            temperature: 0 always takes the likeliest character; below 1 is safer, above 1 is wilder.
            top_k, top_p, min_p: see :class:`charrnn.inference.sampler.Choice`.
            seed: the same seed gives the same text.
            unknown: what to do with characters of ``prime`` that the model does not know, as in :meth:`encode`.
            match: a regular expression that the whole text matches, which then has at most ``length`` characters; see
                :meth:`constraint`.
            without: characters that the text does not have.

        Raises:
            VocabularyError: ``prime`` has a character the model does not know.
            ConfigError: an option is out of range, or no text obeys ``match`` and ``without``.
        """
        if length < 0:
            raise ConfigError(f"the length must be 0 or more, not {length}")
        choice = Choice(temperature, top_k, top_p, min_p)
        constraint = self.constraint(match, without, length) if match is not None or without else None
        return self._joined(self.stream(prime, length, choice, seed, unknown, constraint=constraint))

    def sample_many(
        self,
        count: int,
        prime: Text = "",
        length: int = 500,
        choice: Choice | None = None,
        seed: int = 0,
        *,
        stop: Text | None = None,
        unknown: Unknown | None = None,
        constraint: Constraint | None = None,
    ) -> list[Text]:
        """``count`` texts, drawn as one batch, each cut before the first ``stop``, or ended by a ``constraint``.

        Text k is the same for every count above k.

        Raises:
            VocabularyError: ``prime`` has a character that the model does not know.
        """
        return self.texts(self.sampler(prime, count, choice, seed, unknown, constraint), length, stop)

    def texts(self, sampler: Sampler, length: int, stop: Text | None = None) -> list[Text]:
        """The next ``length`` characters of every stream of a sampler, each cut before the first ``stop``."""
        texts: list[Text] = [b"" if self.vocabulary.is_bytes else ""] * sampler.streams
        for start in range(0, length, BATCH_CHUNK):
            if sampler.ended or (stop and all(_before(text, stop) != text for text in texts)):
                break
            drawn = sampler.draw(min(BATCH_CHUNK, length - start)).T.copy()
            texts = [self._joined((text, self.written(ids))) for text, ids in zip(texts, drawn, strict=True)]
        return [_before(text, stop) for text in texts] if stop else texts

    def _joined(self, parts: Iterable[Text]) -> Text:
        if self.vocabulary.is_bytes:
            return b"".join(cast("Iterable[bytes]", parts))
        return "".join(cast("Iterable[str]", parts))

    def evaluate(self, text: Text) -> Evaluation:
        """Loss, bits per character and perplexity of ``text``; every character but the first is scored once.

        Raises:
            VocabularyError: the text is shorter than two characters, or has one that the model does not know.
        """
        ids = self.encode(text)
        if len(ids) < 2:
            raise VocabularyError("a text of fewer than 2 characters has nothing to predict")
        return evaluate(self.network, ids)

    def loss(self, text: Text) -> float:
        """The mean loss of ``text`` in nats per character."""
        return self.evaluate(text).loss

    def score(
        self,
        lines: Iterable[Text],
        *,
        alone: bool = False,
        learn: bool = False,
        guesses: int = 0,
        seed: int = 0,
        words: bool = False,
        both_ways: bool = False,
    ) -> "list[LineScore]":
        """How unusual each of some lines is: bits, robust z, and the bits of each character.

        The lines are read as one text in their order, each with its line end.  A character that the model does not
        know counts 20 bits.  With n-grams: ``model.mixed().score(lines)``.

        Args:
            lines: without their line ends.
            alone: read each line for itself, for names, passwords and shuffled lists.
            learn: learn from each line after it is scored. Then the network has its old weights again; the n-grams of a
                mixture keep what they have learnt.
            guesses: tell for each line how many lines are likelier, by so many lines drawn from the model with
                ``seed``; lines are then read ``alone``. 0 tells nothing.
            words: tell for each line how surprising its words are, compared with earlier words in the same place, from
                the first of ``lines`` on; for logs.
            both_ways: read all lines twice, and learn each time: from the last to the first, then in order. The
                probability of a character is the mean of its two probabilities, so that what comes again later is less
                odd. Implies ``learn``.

        Raises:
            ConfigError: an ensemble shall learn, or a model learn from lines alone; the model does not know line ends
                and shall tell guesses.
            VocabularyError: a str for a model of bytes has half a character.
        """
        from charrnn.inference.word_peaks import WordPeaks
        from charrnn.model.line_scores import BLOCK, LineScorer  # here, because training would slow the import

        learn = learn or both_ways
        how = "alone" if alone or guesses else "as they come" if learn else "in order"
        scorer = LineScorer(self, how)
        if guesses:
            scorer.draw_guesses(guesses, seed)
        if words:
            scorer.words = WordPeaks()
        found: list[LineScore] = []
        with scorer.learning(both_ways=both_ways) if learn else contextlib.nullcontext():
            block: list[Text] = []
            size = 0
            for line in lines:
                block.append(line)
                size += len(line) + 1
                if size >= BLOCK and not both_ways:
                    found += scorer.score(block)
                    block, size = [], 0
            return found + scorer.score(block)

    def activations(self, text: Text, unknown: Unknown | None = None) -> dict[str, npt.NDArray[np.floating]]:
        """The signals of every cell while the model reads ``text`` of N characters from a state of zeros.

        Returns the signals by name, each (N, L, H) float32, where row n is the value after reading character n, and
        ``log_probabilities`` (N, V) float64 in nats, where row n predicts character n + 1.  An LSTM has the signals
        ``h``, ``c``, ``i``, ``f``, ``g`` and ``o``.  A mixture has the cells of its network, and the probabilities of
        both.

        Raises:
            VocabularyError: the text is empty, or has a character that the model does not know.
            ConfigError: the model is an ensemble, or the text is too long.
        """
        return self._trace(self.encode(text, unknown))

    def read(self, text: Text, signal: str | None = None, unknown: Unknown | None = None) -> Reading:
        """What the cells do while the model reads ``text``, and what it expects; a notebook shows it in colours.

        A mixture has the cells of its network, and the probabilities of both.

        Args:
            text: N characters, read from a state of zeros.
            signal: the name of the one to show, by default the most telling one; the reading has all of them.
            unknown: what to do with characters that the model does not know, as in :meth:`encode`.

        Raises:
            VocabularyError: the text is empty, or has a character that the model does not know.
            ConfigError: the model is an ensemble, there is no such signal, or the text is too long.
        """
        cell = networks_of(self.network)[0].cell
        shown, ids = cell.signal(signal), self.encode(text, unknown)
        signals = self._trace(ids)
        log_probabilities = signals.pop("log_probabilities")
        values = shown_values(shown, signals[shown.name])
        characters = self.vocabulary.characters(ids)
        return Reading(characters, ids, shown.name, values, log_probabilities, None, signals, described=cell.signals)

    def compress(
        self,
        data: bytes,
        *,
        streams: int | None = None,
        online: bool = False,
        ngrams: bool = False,
        with_model: bool = False,
    ) -> bytes:
        """Any bytes as the bytes of a compressed file, without loss: see docs/COMPRESSED.md.

        Args:
            data: any bytes; a model of characters escapes what is no text that it knows.
            streams: how many parts are coded side by side. More are faster and a little larger. None: as suits the
                size; 1 with ``online`` or ``ngrams``.
            online: whether the network goes on learning while it reads: smaller, and much slower.
            ngrams: whether n-grams that learn the data are mixed with the network: smaller, in one stream.
            with_model: whether the file holds the model.

        Raises:
            ConfigError: the model is an ensemble or a mixture, or ``streams`` is out of range.
        """
        from charrnn.compression.compressor import compress  # here, because training would slow the import of a model
        from charrnn.model.compressing import method_of

        sink = io.BytesIO()
        learning = DynamicEvaluationConfig() if online else None
        method = method_of(self, online=learning, with_model=with_model, ngrams=ngrams)
        compress(io.BytesIO(data), sink, method, streams, len(data))
        return sink.getvalue()

    def decompress(self, data: bytes) -> bytes:
        """The bytes that :meth:`compress`, or ``charrnn compress`` with this model, has compressed.

        Raises:
            CompressedError: they are damaged, or compressed with another model or from scratch.
        """
        from charrnn.compression.compressor import decompress
        from charrnn.model.compressing import method_for

        sink = io.BytesIO()
        decompress(io.BytesIO(data), sink, lambda header, packed: method_for(self, header))
        return sink.getvalue()

    def _trace(self, ids: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.floating]]:
        """Every signal by name, and ``log_probabilities``, for ids (N,)."""
        if not len(ids):
            raise VocabularyError("an empty text has nothing to read")
        networks = networks_of(self.network)
        if isinstance(self.network, Ensemble) or len(networks) > 1:
            raise ConfigError("an ensemble has no cells of its own: look into its networks one by one")
        network: Any = self.network
        cell, config = networks[0].cell, networks[0].config
        each = len(cell.signals) * config.layers * config.hidden + 2 * config.vocabulary
        if len(ids) * each > LARGEST:
            raise ConfigError(
                f"the signals of {len(ids):,} characters are too much for the memory: "
                f"give at most {LARGEST // each:,} characters at a time"
            )
        state = network.initial_state(1)
        parts = [network.trace(ids[start : start + CHUNK], state) for start in range(0, len(ids), CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def save(self, path: str | Path) -> None:
        """Save the model to a safetensors file, which :func:`load` reads: weights, characters, and n-grams if any.

        Of the training text's place only its name is kept, as in ``charrnn export``.

        Raises:
            ConfigError: the model is an ensemble.
            CheckpointError: the file cannot be written.
        """
        networks = networks_of(self.network)
        if len(networks) > 1:
            raise ConfigError("an ensemble is no single model: save its networks one by one")
        self._shared(with_ngrams=True).save(Path(path))

    def _shared(self, with_ngrams: bool) -> Checkpoint:
        """A checkpoint of the only network, to give away."""
        network = networks_of(self.network)[0]
        parameters = dict(network.parameters.items())
        checkpoint = self.checkpoint or Checkpoint(network.config, self.vocabulary, parameters=parameters)
        return replace(checkpoint.shared(with_ngrams), parameters=parameters)


def _before(text: Text, stop: Text) -> Text:
    """What stands in ``text`` before the first ``stop``."""
    return text.partition(cast("Any", stop))[0]
