"""Recognises, by their first bytes, files that are not texts, and says what to do about them."""

import codecs

SNIFFED = 8192  # bytes; a NUL among the first ones of a file means that it is not a text

BYTE_ORDER_MARKS = (  # in this order: the mark of UTF-32-LE begins with the mark of UTF-16-LE
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNPACK, _EXPORT, _OTHER = "unpack it first", "export its text first", "name a text"
_KINDS = (  # first bytes, kind, advice
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"BZh", "a bzip2 file", _UNPACK),
    (b"\xfd7zXZ\0", "an xz file", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"PK\x03\x04", "a zip archive or an office document", "unpack it or export its text first"),
    (b"%PDF-", "a PDF", _EXPORT),
    (b"\xd0\xcf\x11\xe0", "an office document", _EXPORT),
    (b"\x89PNG", "an image", _OTHER),
    (b"\xff\xd8\xff", "an image", _OTHER),
    (b"GIF8", "an image", _OTHER),
    (b"\x7fELF", "a program", _OTHER),
    (b"MZ", "a program", _OTHER),
    (b"SQLite format 3\0", "a database", _EXPORT),
)


def is_wide(codec: str) -> bool:
    """Whether texts in this encoding, given by its canonical name, contain NUL bytes: UTF-16 and UTF-32."""
    return codec.startswith(("utf-16", "utf-32"))


def describe_binary(start: bytes) -> tuple[str, str] | None:
    """The kind of a file that begins with these bytes, and advice to the user; None if it may be a text.

    The list of kinds is not complete: this explains a NUL or a decoding error, and does not replace looking for them.
    """
    start = start[:SNIFFED]
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return f"begins with the byte-order mark of {encoding.upper()}", f"pass --encoding {encoding}"
    for magic, kind, advice in _KINDS:
        if start.startswith(magic):
            return f"this is {kind}, not a text", advice
    if start[257:262] == b"ustar":
        return "this is a tar archive, not a text", _UNPACK
    if b"\0" not in start:
        return None
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if start[first::2].count(0) > 0.4 * len(start):
            return "every other byte is a NUL, as in UTF-16", f"pass --encoding {encoding}"
    return f"this is binary, not a text (it has a NUL at offset {start.index(0)})", _OTHER
