"""The texts of benchmarks/languages.py: prose of pages, messages, and parts that share no page."""

import gzip
import json
import struct

import identification
import languages
import pytest

PAGE = r""".\" a comment
.TH LS 1
.SH NAVN
ls \- vis indholdet
.SH BESKRIVELSE
Vis oplysninger om \fIfiler\fR, som standard i den aktuelle mappe,
.I altid
sorteret efter \(lqnavn\(rq.
.TP
\fB\-a\fR, \fB\-\-all\fR
skjul ikke det der begynder med punktum \[u00E6]
.nf
ls \-l | grep eksempel
.fi
  ls en kommando
Sidste afsnit med \fBls\fP(1) og \fIfil\fR.
"""


def test_prose_of_a_page():
    assert list(languages.paragraphs_of_page(PAGE)) == [
        "ls - vis indholdet",
        "Vis oplysninger om filer, som standard i den aktuelle mappe, altid sorteret efter “navn”.",
        "skjul ikke det der begynder med punktum æ",
        "Sidste afsnit med ls(1) og fil.",
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Brug --all eller -a i /etc/fstab, som i printf(3) og <x@y.z>.", "Brug eller i som i og"),
        ("Die  Option   ( ) steht.\u200b\x07 Hier!", "Die Option steht. Hier!"),
        ("Ulige linjer. The quick brown foxes jump over these lazy dogs. Slut her.", "Ulige linjer. Slut her."),
        ("Mit 64bit oder 1000 Zeilen", "Mit oder Zeilen"),
    ],
)
def test_what_is_cut_out(text, wanted):
    english = frozenset(["the", "quick", "brown", "foxes", "jump", "over", "these", "lazy", "dogs"])
    assert languages.cleaned(text, english) == wanted


def test_what_is_prose():
    prose = "Dies ist ein Satz, der lang genug ist, um zu zählen."
    assert languages.is_prose(prose, "de", "LATIN")
    assert not languages.is_prose(prose[:30], "de", "LATIN")
    assert not languages.is_prose(prose, "ru", "CYRILLIC")
    assert not languages.is_prose("... ,,, !!! ((( a b c ))) ;;; ??? ::: --- d e f g", "de", "LATIN")
    assert languages.is_prose("これはとても長い文章ですのでここに数えられます", "ja", "HIRAGANA KATAKANA CJK")


def catalog(pairs):
    """The bytes of a .mo file."""
    texts = [text.encode() for pair in zip(*pairs, strict=True) for text in pair]
    count, start = len(pairs), 28 + 16 * len(pairs)
    tables, data = [], b""
    for text in texts:
        tables.append(struct.pack("<2I", len(text), start + len(data)))
        data += text + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    return head + b"".join(tables) + data


def test_parts_share_no_page_and_no_paragraph(tmp_path):
    sentence = "Dies ist der Satz {}, der lang genug ist, um zu zählen, und {} dazu."
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrs"]
    for number, word in enumerate(words):
        for language, text in (("de", sentence.format(word, "noch etwas")), ("da", sentence.format(word, "lidt mere"))):
            path = tmp_path / f"usr/share/man/{language}/man1/{word}.1.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            same = sentence.format("gleich", "überall")
            path.write_bytes(gzip.compress(f".SH X\n{text}\n.PP\n{same}\n.PP\nNummer {number}\n".encode()))
    place = tmp_path / "usr/share/locale/de/LC_MESSAGES"
    place.mkdir(parents=True)
    message = "Die Datei konnte leider nicht gefunden werden, und auch der Ordner nicht."
    place.joinpath("a.mo").write_bytes(catalog([("", "head"), ("x", message), (message, message), ("y", "kurz")]))
    facts = languages.make([tmp_path], tmp_path / "out", 1)
    again = languages.make([tmp_path], tmp_path / "again", 1)
    assert facts == again == json.loads((tmp_path / "out/facts.json").read_text())["languages"]
    for language in ("de", "da"):
        train, test = (
            set((tmp_path / f"out/{part}/{language}.txt").read_text().splitlines()) for part in ("train", "test")
        )
        assert len(train) > len(test) > 10
        assert not train & test
        assert facts[language]["train"]["sources"] + facts[language]["test"]["sources"] == len(words)
    found = [
        {line.split()[4].strip(",") for line in (tmp_path / f"out/test/{language}.txt").read_text().splitlines()}
        for language in ("de", "da")
    ]
    assert found[0] - {"gleich"} == found[1] - {"gleich"}
    assert (tmp_path / "out/messages/de.txt").read_text() == f"{message}\n"


def test_a_language_with_few_pages_gets_a_test_part():
    train, test = {str(k): ["x" * 100] for k in range(20)}, {}
    languages.top_up(train, test, 1)
    assert len(test) == 3 and not train.keys() & test.keys()


def test_pieces_do_not_overlap_and_are_mostly_letters(tmp_path):
    path = tmp_path / "de.txt"
    path.write_text("abcdefghij" * 30 + "\n" + "12345 67890" * 30 + "\nkurz\n")
    found = identification.pieces(path, 30, 100, 1)
    assert len(found) == 10 and all(len(piece) == 30 and piece.isalpha() for piece in found)
    assert identification.pieces(path, 30, 4, 1) == found[:4]
