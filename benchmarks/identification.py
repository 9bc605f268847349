"""Identify languages with small models, and in turns with other language identifiers on the same pieces.

    python benchmarks/languages.py --out languages --fetch pages
    python -m venv identifiers && identifiers/bin/pip install lingua-language-detector py3langid
    python benchmarks/identification.py languages --others identifiers/bin/python

charrnn learns the training pages with its defaults.  Pieces of 100 and of 30 characters are cut at random, without
overlap, from pages that it has not learnt, and from messages of programs, which are by other authors and of another
kind.  The others come with models of their own, learnt from large and general texts; they choose among the same
languages.  So on pages charrnn knows the kind of text and they do not; messages are new to all.

Then pieces of what no model has learnt: messages in other languages, random letters and words, base64, hexadecimal
digits, Python code.  "None of them" is right there; on all other pieces it is wrong, and counted so.  Last come the
speed, by turns, and how often answers of some probability are right.
"""

import argparse
import base64
import collections
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = (100, 30)
LEAST_LETTERS = 0.6  # of the characters of a piece that are no spaces
BINS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 0.99), (0.99, 1.01))
TURNS = 3


def pieces(path, size, count, seed):
    """Up to ``count`` pieces of a text, without overlap, from random places, mostly letters."""
    rng, found = random.Random(f"{seed} {path.name} {size}"), []
    lines = [line for line in path.read_text("utf-8").split("\n") if len(line) >= size]
    places = [(number, start) for number, line in enumerate(lines) for start in range(0, len(line) - size + 1, size)]
    rng.shuffle(places)
    for number, start in places:
        piece = lines[number][start : start + size]
        if sum(map(str.isalpha, piece)) >= LEAST_LETTERS * sum(not each.isspace() for each in piece):
            found.append(piece)
        if len(found) == count:
            break
    return found


def unexplained(folder, size, count, seed):
    """By their kinds, pieces that no model has learnt."""
    rng = random.Random(f"{seed} unexplained {size}")
    letters = "abcdefghijklmnopqrstuvwxyz"
    code = " ".join(Path(__file__).read_text("utf-8").split())
    found = {path.stem: pieces(path, size, count, seed) for path in sorted((folder / "others").glob("*.txt"))}
    found = {kind: texts for kind, texts in found.items() if len(texts) >= 20}
    return found | {
        "base64": [base64.b64encode(rng.randbytes(size)).decode()[:size] for _ in range(count)],
        "hexadecimal": [rng.randbytes(size).hex()[:size] for _ in range(count)],
        "random letters": ["".join(rng.choices(letters, k=size)) for _ in range(count)],
        "random words": ["".join(rng.choices(letters + " " * 5, k=size)) for _ in range(count)],
        "Python code": [code[k : k + size] for k in rng.sample(range(len(code) - size), count)],
    }


# ---- the sides ---------------------------------------------------------------------------------------------


class Ours:
    """charrnn; answers are (language or None, probability)."""

    def __init__(self, folder, options):
        import charrnn

        begun = time.perf_counter()
        self.identifier = charrnn.Identifier.learn(folder / "train", size=options.size, threads=options.threads)
        self.learnt_s = time.perf_counter() - begun
        self.identifier.identify("warm")

    def answer(self, texts):
        begun = time.perf_counter()
        found = self.identifier.identify_all(texts)
        return [(each.name, each.probability) for each in found], time.perf_counter() - begun

    def forced(self, texts):
        """The likeliest of the models."""
        found = self.identifier.identify_all(texts)
        return [next(name for name in each.probabilities if name != "none") for each in found]


class Other:
    """Another identifier, in a Python of its own: a line of JSON in, a line out."""

    def __init__(self, python, name, languages):
        words = [python, str(Path(__file__).resolve()), "--worker", name, *languages]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = json.loads(self.process.stdout.readline())
        self.answer(["warm"])

    def answer(self, texts):
        self.process.stdin.write(json.dumps(texts) + "\n")
        self.process.stdin.flush()
        found = json.loads(self.process.stdout.readline())
        return [(name, 1.0) for name in found["names"]], found["seconds"]


def work(name, languages):
    """What the process of another identifier does."""
    from importlib.metadata import version

    if name == "lingua":
        from lingua import IsoCode639_1, LanguageDetectorBuilder

        codes = [getattr(IsoCode639_1, each.upper()) for each in languages]
        detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()

        def identify(texts):
            found = detector.detect_languages_in_parallel_of(texts)
            return [each and each.iso_code_639_1.name.lower() for each in found]

        said = f"lingua-language-detector {version('lingua-language-detector')}"
    else:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        open_model = getattr(LanguageIdentifier, "from_model_file", None) or LanguageIdentifier.from_pickled_model
        detector, known = open_model(MODEL_FILE), {}
        for each in languages:  # it may call Bokmål Norwegian, and that is no mistake
            for code in ("nb", "no", "nn") if each == "nb" else (each,):
                try:
                    detector.set_languages([code])
                    known[code] = each
                except ValueError:
                    pass
        detector.set_languages(list(known))

        def identify(texts):
            return [known[detector.classify(text)[0]] for text in texts]

        said = f"py3langid {version('py3langid')}"
    print(json.dumps(said), flush=True)
    for line in sys.stdin:
        texts = json.loads(line)
        begun = time.perf_counter()
        names = identify(texts)
        print(json.dumps({"names": names, "seconds": time.perf_counter() - begun}), flush=True)


# ---- what is measured --------------------------------------------------------------------------------------


def accuracy(folder, part, size, options, sides, languages):
    """Print the share of right answers of every side, and by language; the answers of charrnn."""
    asked = {each: pieces(folder / part / f"{each}.txt", size, options.pieces, options.seed) for each in languages}
    texts = [text for each in languages for text in asked[each]]
    truth = [each for each in languages for _ in asked[each]]
    counts = {each: len(asked[each]) for each in languages}
    few, many = min(counts.values()), max(counts.values())
    print(f"\n{part}, {size} characters: {len(texts):,} pieces, {few} to {many} a language")
    answers, results = {}, {}
    for name, side in sides.items():
        answers[name], _ = side.answer(texts)
        right = [found == wanted for (found, _), wanted in zip(answers[name], truth, strict=True)]
        by = {each: statistics.mean(r for r, t in zip(right, truth, strict=True) if t == each) for each in languages}
        results[name] = {"right": statistics.mean(right), "mean_of_languages": statistics.mean(by.values()), "by": by}
        low = " ".join(f"{each} {100 * share:.1f}" for each, share in sorted(by.items(), key=lambda pair: pair[1])[:6])
        print(f"  {name:10} {100 * results[name]['right']:6.2f} %   mean of languages "
              f"{100 * results[name]['mean_of_languages']:6.2f} %   lowest: {low}")  # fmt: skip
    ours = answers["charrnn"]
    forced = sides["charrnn"].forced(texts)
    share = statistics.mean(found == wanted for found, wanted in zip(forced, truth, strict=True))
    none = statistics.mean(found is None for found, _ in ours)
    print(f"  charrnn    {100 * share:6.2f} %   if it must name a language; “none” on {100 * none:.2f} %")
    wrong = collections.Counter((t, f or "none") for (f, _), t in zip(ours, truth, strict=True) if f != t)
    print("  taken for:", ", ".join(f"{t} → {f} {count}" for (t, f), count in wrong.most_common(12)))
    print("  probability → right:", calibration(ours, truth))
    results["charrnn"] |= {"forced": share, "none": none}
    return {"part": part, "size": size, "pieces": len(texts), "counts": counts, "sides": results}, texts


def calibration(answers, truth):
    """For answers with a probability in each bin: mean probability, share that is right, number."""
    parts = []
    for low, high in BINS:
        found = [(p, name == t) for (name, p), t in zip(answers, truth, strict=True) if low <= p < high]
        if found:
            mean, right = (100 * statistics.mean(column) for column in zip(*found, strict=True))
            parts.append(f"{mean:.1f} → {right:.1f} % ({len(found):,})")
    return ", ".join(parts)


def left_out(folder, size, options, languages):
    """Print how often pieces of a language that no model has learnt are none of them: each language in turn."""
    import numpy as np

    import charrnn
    from charrnn.checkpoints.model_set import ModelSet

    whole, found = options.side.identifier, {}
    for each in languages:
        texts = pieces(folder / "test" / f"{each}.txt", size, 60, options.seed)
        rest = {name: text for name, text in whole._set.texts.items() if name != each}
        identifier = charrnn.Identifier.from_set(ModelSet(whole._set.order, rest), threads=options.threads)
        answers = collections.Counter(answer.name or "none" for answer in identifier.identify_all(texts))
        found[each] = answers["none"] / len(texts), answers.most_common(1)[0][0]
    mean = np.mean([share for share, _ in found.values()])
    print(f"\nwithout its own model, {size} characters: none of them {100 * mean:.0f} %")
    print("  " + ", ".join(f"{each} {100 * share:.0f} ({top})" for each, (share, top) in found.items()))
    return {each: share for each, (share, _) in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what benchmarks/languages.py has made")
    parser.add_argument("--others", metavar="PYTHON", help="a Python that has the other identifiers")
    parser.add_argument("--languages", nargs="+", help="only these, for all sides")
    parser.add_argument("--pieces", type=int, default=300, help="of a language and a size")
    parser.add_argument("--size", type=int, default=250_000, help="bytes that are learnt of a language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    options = parser.parse_args()
    languages = options.languages or sorted(path.stem for path in (options.folder / "train").glob("*.txt"))
    options.side = side = Ours(options.folder, options)
    size = sum(map(len, side.identifier._set.texts.values()))
    print(f"charrnn: {len(side.identifier.names)} models, {size:,} bytes learnt in {side.learnt_s:.1f} s")
    sides = {"charrnn": side}
    if options.others:
        for name in ("lingua", "py3langid"):
            sides[name] = Other(options.others, name, languages)
            print(sides[name].version)
    results, timed = [], []
    for part in ("test", "messages"):
        for length in SIZES:
            found, texts = accuracy(options.folder, part, length, options, sides, languages)
            results.append(found)
            if part == "test" and length == 100:
                timed = texts
    for length in SIZES:
        print(f"\nno model has learnt it, {length} characters: share of “none of them”")
        shares = {}
        for kind, texts in unexplained(options.folder, length, 60, options.seed).items():
            answers, _ = side.answer(texts)
            top = collections.Counter(name for name, _ in answers if name).most_common(1)
            shares[kind] = statistics.mean(name is None for name, _ in answers), top[0][0] if top else ""
        print(
            "  "
            + ", ".join(
                f"{kind} {100 * share:.0f}{f' ({top})' if top else ''}" for kind, (share, top) in shares.items()
            )
        )
        results.append({"unexplained": length, "none": {kind: share for kind, (share, _) in shares.items()}})
        results.append({"left_out": length, "none": left_out(options.folder, length, options, languages)})
    print(f"\nspeed: {len(timed):,} pieces of 100 characters, {TURNS} turns, median")
    seconds = collections.defaultdict(list)
    for _ in range(TURNS):
        for name, each in sides.items():
            seconds[name].append(each.answer(timed)[1])
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"  {name:10} {len(timed) / middle:10,.0f} pieces/s {100 * len(timed) / middle:12,.0f} characters/s")
        results.append({"speed": name, "pieces_per_s": len(timed) / middle})
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], sys.argv[3:])
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        main()
