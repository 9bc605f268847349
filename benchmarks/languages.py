"""Make texts in 24 languages of the translated manual pages and messages that Debian's packages carry.

    python benchmarks/languages.py --out languages                    # from what is installed here
    python benchmarks/languages.py --out languages --fetch pages # from packages that apt-get downloads first

``--out`` gets train/LANGUAGE.txt, test/LANGUAGE.txt and messages/LANGUAGE.txt, one paragraph or message a line, others/
with messages in languages that have no training text, and facts.json with counts of pages, characters and bytes.  The
texts are not ours, and none is committed.

Prose is taken from the pages: a small reader of roff keeps running text and drops headings, synopses, examples, tables,
and the tags of lists.  Names of files, options, numbers and code are cut out of a line.  In other languages than
English, a sentence whose words are mostly common in English pages is dropped.  A paragraph that is mostly not letters,
or not in the script of its language, is dropped; and a paragraph that came before, in any language, is dropped, too.

A page belongs to the training or the test part by a hash of its name, in all languages alike, so that no test piece
shares a page with training, and hardly one shares a translation of it: only where a language has few pages, more are
taken for its test part.  The messages come from the catalogs (.mo) of programs, whose
texts are by other authors than the pages: what learnt the pages can be tested on them.
"""

import argparse
import collections
import functools
import gzip
import hashlib
import json
import re
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

# Language: folders of manual pages, folders of messages, packages, and the beginnings of the Unicode names of its
# letters.
LANGUAGES = {
    "cs": (["cs"], ["cs"], ["manpages-cs"], "LATIN"),
    "da": (["da"], ["da"], ["manpages-da"], "LATIN"),
    "de": (["de"], ["de"], ["manpages-de"], "LATIN"),
    "en": ([""], ["en_GB"], ["manpages", "manpages-dev"], "LATIN"),
    "es": (["es"], ["es"], ["manpages-es"], "LATIN"),
    "fi": (["fi"], ["fi"], ["manpages-fi"], "LATIN"),
    "fr": (["fr"], ["fr"], ["manpages-fr"], "LATIN"),
    "hu": (["hu"], ["hu"], ["manpages-hu"], "LATIN"),
    "id": (["id"], ["id"], ["manpages-id"], "LATIN"),
    "it": (["it"], ["it"], ["manpages-it"], "LATIN"),
    "ja": (["ja"], ["ja"], ["manpages-ja"], "HIRAGANA KATAKANA CJK"),
    "ko": (["ko"], ["ko"], [], "HANGUL"),
    "nb": (["nb", "no"], ["nb"], ["manpages-nb"], "LATIN"),
    "nl": (["nl"], ["nl"], ["manpages-nl"], "LATIN"),
    "pl": (["pl"], ["pl"], ["manpages-pl"], "LATIN"),
    "pt": (["pt_BR", "pt"], ["pt_BR", "pt"], ["manpages-pt-br"], "LATIN"),
    "ro": (["ro"], ["ro"], ["manpages-ro"], "LATIN"),
    "ru": (["ru"], ["ru"], ["manpages-ru"], "CYRILLIC"),
    "sr": (["sr"], ["sr"], ["manpages-sr"], "CYRILLIC"),
    "sv": (["sv"], ["sv"], ["manpages-sv"], "LATIN"),
    "tr": (["tr"], ["tr"], ["manpages-tr"], "LATIN"),
    "uk": (["uk"], ["uk"], ["manpages-uk"], "CYRILLIC"),
    "vi": (["vi"], ["vi"], ["manpages-vi"], "LATIN"),
    "zh": (["zh_CN"], ["zh_CN"], ["manpages-zh"], "CJK"),
}
# Languages without training text, for pieces that no model should explain; some near to those above, some far.
OTHERS = {
    **dict.fromkeys(["ca", "et", "lt", "lv", "eo", "eu", "is", "sk", "sl", "ga", "cy", "sq", "ms"], "LATIN"),
    **{"bg": "CYRILLIC", "kk": "CYRILLIC", "el": "GREEK", "he": "HEBREW", "ar": "ARABIC", "hi": "DEVANAGARI"},
    **{"ta": "TAMIL", "th": "THAI", "ka": "GEORGIAN", "gu": "GUJARATI"},
}
TEST_SHARE, LEAST_SHARE = 0.25, 0.15  # of the pages; of the characters of a language with few pages
LONGEST = 1_000_000  # characters of a training part; long parts are cut
SHORTEST = 40  # characters of a paragraph; half as many in scripts of syllables and words
DENSE = {"ja", "ko", "zh"}

_COMMON = 5  # times that a word occurs in English pages which counts as an English word
_CODE = r"/_=<>|{}\[\]$\\@*#~^`%+"
_CUT = re.compile(
    rf"[\w.,:;'-]*[{_CODE}][!-~]*|(?<!\w)--?[A-Za-z0-9][\w-]*|\b\w+\(\w+\)|\w*\d[\w.:-]*|\(\)|\[\]", re.ASCII
)  # what has a sign of code in it; options; names of pages; words with digits
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\xa0\xad\u2000-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ue000-\uf8ff]")
_WORDS = re.compile(r"[A-Za-z]{3,}(?!\w)")
_SENTENCES = re.compile(r"(?<=[.!?:;])\s")


# ---- manual pages ------------------------------------------------------------------------------------------

_SPECIAL = {
    "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "Fo": "«", "Fc": "»", "fo": "‹", "fc": "›",
    "Bq": "„", "bq": "‚", "em": "—", "en": "–", "hy": "-", "bu": "", "co": "©", "rg": "®", "ss": "ß", "ga": "`",
    "ha": "^", "ti": "~", "rs": "\\", "mu": "×", "->": "→", "<-": "←", "..": "", "de": "°",
    **{f":{a}": b for a, b in zip("aeiouAEIOU", "äëïöüÄËÏÖÜ", strict=True)},
    **{f"'{a}": b for a, b in zip("aeiouAEIOU", "áéíóúÁÉÍÓÚ", strict=True)},
    **{f"`{a}": b for a, b in zip("aeiouAEIOU", "àèìòùÀÈÌÒÙ", strict=True)},
    **{f"^{a}": b for a, b in zip("aeiouAEIOU", "âêîôûÂÊÎÔÛ", strict=True)},
    **{"~n": "ñ", "~a": "ã", "~o": "õ", ",c": "ç", ",C": "Ç", "oa": "å", "oA": "Å", "ae": "æ", "AE": "Æ", "/o": "ø"},
}  # fmt: skip
_ESCAPE = re.compile(
    r"""\\(?: f(?:\[[^\]]*\]|\(..|.) | s[+-]?(?:\d\d?|\[[^\]]*\]) | m\[[^\]]*\] | [&%:/,|^)!] | [ ~0]
      | \((?P<two>..) | \[(?P<long>[^\]]*)\] | \*(?:\(..|\[[^\]]*\]|.)
      | -(?P<minus>) | e(?P<slash>) | c | ["#].* | . )""",
    re.VERBOSE,
)
_ENDS = {
    "PP",
    "P",
    "LP",
    "TP",
    "IP",
    "HP",
    "TQ",
    "SH",
    "SS",
    "RS",
    "RE",
    "sp",
    "br",
    "Sh",
    "Ss",
    "Pp",
    "It",
    "El",
    "Bl",
}
_FONTS = {"B", "I", "SM", "SB"}
_ALTERNATING = {"BI", "BR", "IB", "IR", "RB", "RI"}
_SKIPPED = {"nf": "fi", "EX": "EE", "TS": "TE", "de": ".", "ig": ".", "SY": "YS", "Bd": "Ed", "EQ": "EN"}


def paragraphs_of_page(page: str) -> Iterator[str]:
    """The running text of a page, a paragraph at a time. A page of mdoc has no more than its plain lines."""
    found: list[str] = []
    until, skip_line = None, False
    for line in page.splitlines():
        if until is not None:
            if re.match(rf"[.'] *{re.escape(until)}\b" if until != "." else r"\.\.", line):
                until = None
            continue
        if line.startswith((".", "'")) and not line.startswith("'\\"):
            macro, _, rest = line[1:].strip().partition(" ")
            if macro.startswith(('\\"', "\\")) or not macro:
                continue
            if macro in _SKIPPED:
                until = _SKIPPED[macro]
            if macro in _FONTS and not skip_line:
                found.append(rest.replace('"', ""))
            elif macro in _ALTERNATING and not skip_line:
                found.append("".join(_arguments(rest)))
            elif macro in _ENDS or until is not None or macro not in _FONTS | _ALTERNATING:
                yield from _joined(found)
                found = []
            skip_line = macro == "TP"
            continue
        if not line.strip() or line.startswith((" ", "\t")):
            yield from _joined(found)
            found = []
            if not line.strip():
                continue
            continue  # an indented line is laid out by hand: an example
        if skip_line:
            skip_line = False
            continue
        found.append(line)
    yield from _joined(found)


def _arguments(text: str) -> list[str]:
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', text)]


def _joined(lines: list[str]) -> Iterator[str]:
    if lines:
        yield " ".join(_ESCAPE.sub(_character, line) for line in lines)


def _character(found: re.Match) -> str:
    if found["minus"] is not None:
        return "-"
    if found["slash"] is not None:
        return "\\"
    name = found["two"] or found["long"]
    if name is not None:
        if re.fullmatch(r"u[0-9A-F]{4,5}(_[0-9A-F]{4,5})*", name):
            return unicodedata.normalize("NFC", "".join(chr(int(code, 16)) for code in name[1:].split("_")))
        return _SPECIAL.get(name, "\\")  # an unknown one counts as code
    return " " if found[0] in ("\\ ", "\\~", "\\0") else ""


def pages(roots: list[Path], folders: list[str]) -> Iterator[tuple[str, str]]:
    """The name and the source of each page that is in UTF-8."""
    for root in roots:
        for folder in folders:
            for path in sorted((root / "usr/share/man" / folder).glob("man[1-8]/*.gz")):
                if path.is_symlink():
                    continue
                try:
                    text = gzip.decompress(path.read_bytes()).decode("utf-8")
                except (OSError, UnicodeDecodeError, EOFError):
                    continue
                if not text.startswith(".so "):
                    yield path.name.removesuffix(".gz"), text


# ---- messages ----------------------------------------------------------------------------------------------


def messages(roots: list[Path], folders: list[str]) -> Iterator[tuple[str, str]]:
    """The name of a catalog, and a message of it that is translated; all in UTF-8."""
    for root in roots:
        for folder in folders:
            for path in sorted((root / "usr/share/locale" / folder / "LC_MESSAGES").glob("*.mo")):
                for original, translation in _entries(path.read_bytes()):
                    if original != translation:
                        yield path.stem, translation


def _entries(data: bytes) -> Iterator[tuple[str, str]]:
    """The pairs of a catalog: magic, revision, count, then two tables of (length, offset)."""
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    _, _, count, originals, translations = struct.unpack(f"{order}5I", data[:20])
    for number in range(count):
        texts = []
        for table in (originals, translations):
            length, offset = struct.unpack_from(f"{order}2I", data, table + 8 * number)
            texts.append(data[offset : offset + length].split(b"\0")[-1])
        try:
            original, translation = (text.decode("utf-8") for text in texts)
        except UnicodeDecodeError:
            continue
        if original:
            yield original, translation


# ---- both --------------------------------------------------------------------------------------------------


def cleaned(text: str, english: frozenset[str]) -> str:
    """A paragraph without options, names of files, code and English sentences, and with single spaces."""
    text = _CUT.sub(" ", _CONTROLS.sub(" ", unicodedata.normalize("NFC", text)))
    text = re.sub(r"\s+([,.;:)!?])", r"\1", re.sub(r"\s+", " ", text))
    if english:
        text = " ".join(each for each in _SENTENCES.split(text) if not _is_english(each, english))
    return re.sub(r"\s+", " ", re.sub(r"\([\s,.;:]*\)|[\"'“”„«»‘’]\s*[\"'“”„«»‘’]", "", text)).strip(" ,;:")


def _is_english(sentence: str, english: frozenset[str]) -> bool:
    """Whether at least half of the words of a sentence are English, and not many other letters stand beside them."""
    words = _WORDS.findall(sentence)
    known = sum(len(word) for word in words if word.lower() in english)
    return known >= 0.5 * sum(map(str.isalpha, sentence)) or known >= 0.5 * sum(map(len, words)) > 40


@functools.cache
def _is_of(letter: str, starts: tuple[str, ...]) -> bool:
    return unicodedata.name(letter, "").startswith(starts)


def is_prose(text: str, language: str, script: str) -> bool:
    """Whether a paragraph is long enough, and mostly letters of the script of its language."""
    if len(text) < (SHORTEST // 2 if language in DENSE else SHORTEST):
        return False
    letters = [each for each in text if each.isalpha()]
    marks = sum(unicodedata.category(each)[0] == "M" for each in text)
    if len(letters) + marks < 0.75 * sum(not each.isspace() for each in text):
        return False
    starts = tuple(script.split())
    return sum(_is_of(each, starts) for each in letters) >= (0.9 if script == "LATIN" else 0.7) * len(letters)


def english_words(roots: list[Path]) -> frozenset[str]:
    """Words of three letters or more that are common in English pages."""
    counts = collections.Counter()
    for _, page in pages(roots, [""]):
        for text in paragraphs_of_page(page):
            counts.update(word.lower() for word in _WORDS.findall(text))
    return frozenset(word for word, count in counts.items() if count >= _COMMON)


def is_test(name: str, seed: int) -> bool:
    """Whether a page or a catalog is in the test part."""
    return hash_of("part", seed, name) < TEST_SHARE * 2**32


def top_up(train: dict[str, list[str]], test: dict[str, list[str]], seed: int) -> None:
    """Move pages from ``train`` to ``test`` until the test part has its least share of the characters."""
    sizes = {name: sum(map(len, texts)) for name, texts in (train | test).items()}
    wanted = min(LEAST_SHARE * sum(sizes.values()), LONGEST) - sum(sizes[name] for name in test)
    for name in sorted(train, key=lambda name: hash_of("top up", seed, name)):
        if wanted <= 0:
            break
        wanted -= sizes[name]
        test[name] = train.pop(name)


def hash_of(purpose: str, seed: int, name: str) -> int:
    """32 bits."""
    return int(hashlib.sha256(f"{purpose} {seed} {name}".encode()).hexdigest()[:8], 16)


def gathered(found: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """The texts by the names of their sources, up to twice as many as are written."""
    texts, size = collections.defaultdict(list), 0
    for name, text in found:
        texts[name].append(text)
        size += len(text)
        if size > 2 * LONGEST:
            break
    return texts


def key_of(text: str) -> str:
    """What two paragraphs that differ only in case, digits and punctuation have in common."""
    return "".join(each for each in text.lower() if each.isalpha())


def make(roots: list[Path], out: Path, seed: int) -> dict:
    """Write all texts; the facts about them."""
    facts, seen, english = {}, set(), english_words(roots)

    def distinct(found: Iterator[tuple[str, str]], language: str, script: str) -> Iterator[tuple[str, str]]:
        for name, text in found:
            text = cleaned(text, english if language != "en" else frozenset())
            key = key_of(text)
            if key not in seen and is_prose(text, language, script):
                seen.add(key)
                yield name, text

    def write(part: str, language: str, found: dict[str, list[str]]) -> None:
        # Pages in the order of a hash, so that a cut leaves pages of every kind.
        order = sorted(found, key=lambda name: hash_of("order", seed, name))
        lines, size, kept = [], 0, 0
        for name in order:
            if size > LONGEST:
                break
            lines += found[name]
            kept, size = kept + 1, size + sum(map(len, found[name]))
        path = out / part / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        about = {"sources": kept, "paragraphs": len(lines), "characters": size, "bytes": path.stat().st_size}
        facts.setdefault(language, {})[part] = about

    for language, (folders, catalogs, _, script) in LANGUAGES.items():
        parts = {"train": collections.defaultdict(list), "test": collections.defaultdict(list)}
        from_pages = ((name, text) for name, page in pages(roots, folders) for text in paragraphs_of_page(page))
        for name, text in distinct(from_pages, language, script):
            parts["test" if is_test(name, seed) else "train"][name].append(text)
        top_up(parts["train"], parts["test"], seed)
        for part, found in parts.items():
            write(part, language, found)
        write("messages", language, gathered(distinct(messages(roots, catalogs), language, script)))
    for language, script in OTHERS.items():
        write("others", language, gathered(distinct(messages(roots, [language]), language, script)))
    (out / "facts.json").write_text(json.dumps({"seed": seed, "languages": facts}, indent=1), "utf-8")
    return facts


def fetch(folder: Path) -> None:
    """Download the packages with apt-get, and unpack them below ``folder`` without installing them."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({name for _, _, packages, _ in LANGUAGES.values() for name in packages})
    subprocess.run(["apt-get", "download", *names], cwd=folder, check=True)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
        package.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fetch", type=Path, metavar="FOLDER", help="download packages to this folder, if it is new")
    parser.add_argument("--root", type=Path, action="append", help="where usr/share is; / and --fetch by default")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    roots = options.root or [Path("/")]
    if options.fetch is not None:
        if not (options.fetch / "usr").is_dir():
            fetch(options.fetch)
        roots = [options.fetch, *roots]
    facts = make(roots, options.out, options.seed)
    for language, parts in facts.items():
        shown = (
            f"{part} {about['sources']:4} sources {about['characters']:9,} characters" for part, about in parts.items()
        )
        print(f"{language:4}", "   ".join(shown))
    poor = [
        language for language, parts in facts.items() if parts.get("train", {"characters": 1e9})["characters"] < 30_000
    ]
    if poor:
        packages = " ".join(name for each in poor for name in LANGUAGES[each][2])
        print(f"little text in {' '.join(poor)}: give --fetch FOLDER, or install {packages}", file=sys.stderr)


if __name__ == "__main__":
    main()
