"""A program that uses the whole Python interface, with types as strict as mypy has them. No test runs it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

import charrnn
from charrnn.model.coloured_text import ColouredText
from charrnn.records import Evaluated, Finished, Step

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def train(path: Path, text: str, data: bytes) -> charrnn.Model:
    seen: list[float] = []

    def on_record(record: charrnn.Record) -> None:
        if isinstance(record, Step):
            seen.append(record.loss)
        elif isinstance(record, Evaluated):
            seen.append(record.best_val_loss)
        elif isinstance(record, Finished) and record.mixed_val_loss is not None:
            seen.append(record.mixed_val_loss)

    charrnn.train(text, hidden=64, steps=100, on_record=on_record)
    charrnn.train(data, preset="quick", seed=2, threads=1)
    return charrnn.train(path, out="runs", name="mine", force=True, time_budget="3m", dropout=None, unknown=None)


def load(path: Path) -> charrnn.Model:
    charrnn.load("a", path, threads=2)
    return charrnn.load(path)


def write(model: charrnn.Model) -> list[str | bytes]:
    choice = charrnn.Choice(temperature=0.8, top_k=5, top_p=0.9, min_p=0.1)
    texts: list[str | bytes] = [model.sample("The fox", 100, 0.8, top_p=0.9, seed=1)]
    texts += model.stream("The fox", 100, choice, seed=1, unknown="skip", chunk=10)
    texts += model.sample_many(3, "The fox", 100, choice, stop="\n")
    drawn: npt.NDArray[np.int32] = model.sampler("The fox", streams=2).draw(10)
    texts.append(model.sample(match="[a-z]+", without="e", length=9))
    constraint = model.constraint(match="[a-z]{3}", without="e", length=9)
    texts += model.stream("The fox", 9, constraint=constraint)
    sampler = model.sampler(streams=2, constraint=constraint)
    texts += [model.written(sampler.draw(2)[:, 0]), *model.texts(sampler, 9)]
    shares: npt.NDArray[np.float64] = sampler.masked.share
    assert sampler.ended or shares.any()
    return [*texts, model.vocabulary.decode(drawn[:, 0])]


def score(model: charrnn.Model, text: str) -> list[float]:
    found: charrnn.Evaluation = model.evaluate(text)
    mixture = model.mixed()
    also = [] if mixture is None else [mixture.loss(text)]
    return [found.loss, found.bpc, found.perplexity, float(found.characters), model.loss(text), *also]


def score_lines(model: charrnn.Model, lines: list[str]) -> float:
    scores = model.score(lines, learn=True) + model.score(["a", b"b"], guesses=100, seed=3, alone=True)
    first = scores[0].kept()
    text: str | bytes = first.text
    guesses = first.guesses
    z = first.z or 0.0
    most: float = max(score.bits_per_character + score.peak + z for score in scores)
    return most + len(text) + first.unknown + first.characters + (0.0 if guesses is None else guesses.count)


def compress(model: charrnn.Model, data: bytes) -> bytes:
    packed: bytes = model.compress(data, streams=4)
    return model.decompress(packed) + model.compress(data, online=True, with_model=True)


def identify(model: charrnn.Model, texts: dict[str, str], path: Path) -> list[str | None]:
    languages: charrnn.Identifier = charrnn.Identifier.learn(texts, size=10_000, threads=2)
    languages.save(path)
    languages.set_prior({"english": 2.0}, none=0.1, temperature=2.0)
    found: charrnn.Identification = charrnn.identify("The fox", languages)
    sure = max(found.probabilities.values()) + found.probability + found.bits + found.characters
    several: list[charrnn.Identification] = charrnn.identify(["The fox", "Der Fuchs"], path)
    more = charrnn.identify("The fox", {"mine": model, "other": path})
    again = charrnn.Identifier({"mine": model}, prior={"mine": 1.0}, none=0.0)
    losses: npt.NDArray[np.float64] = again.totals(["The fox"])
    last = charrnn.Identifier.load(path).identify("The fox")
    assert len(losses) == 1 < sure
    return [each.name for each in (found, more, last, *several, *again.identify_all(["The fox"]))]


def look_inside(model: charrnn.Model, text: str) -> tuple[Floats, ...]:
    reading: charrnn.Reading = model.read(text, signal="h", unknown="replace")
    coloured: ColouredText = reading[:10].coloured(*reading.most_structured())
    surprising: ColouredText = reading.coloured_by_surprise()
    page: str = "".join(shown._repr_html_() for shown in (coloured, surprising, reading))
    ids, chances = reading.guesses(3)
    decoded = model.vocabulary.characters(ids[:, 0])
    assert len(decoded) == len(reading) == len(reading.text) < len(page)
    forget: npt.NDArray[np.float32] = reading.signals["f"]
    values = reading.columns([(0, 1), (1, 2)])
    return forget, values, reading.cell(0, 1), reading.surprise(), reading.log_probabilities, chances


def keep(model: charrnn.Model, path: Path) -> int:
    model.save(path)
    encoded: npt.NDArray[np.int32] = model.encode("The fox")
    vocabulary: charrnn.Vocabulary = model.vocabulary
    signals = model.activations("The fox")
    first: npt.NDArray[np.int32] = model.prime("")
    return len(vocabulary) + len(encoded) + len(first) + sum(len(values) for values in signals.values())


def errors(path: Path) -> str:
    try:
        charrnn.load(path)
    except charrnn.CharRNNError as error:
        return f"{charrnn.__version__}: {error}"
    return repr(dir(charrnn))
