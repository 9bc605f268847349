"""What may reach a terminal: nothing that acts but what the displays send on purpose."""

import os
import re

from charrnn.sanitise import visible

# What rich and the displays send themselves: styles, moves of the cursor, erasures, the cursor's visibility.
OWN = re.compile(r"\x1b\[(?:[\d;]*m|\d*[ABGK]|\?25[lh])|\r(?=\n|\x1b)|\r$")
# A live display that erases its lines returns to their beginning, too.
OWN_OF_LIVE_DISPLAYS = re.compile(r"\x1b\[(?:[\d;]*m|\d*[ABG]|(?:\d*K|\?25[lh])\r?)|\r+(?=\n|\x1b)|\r+$")


def read_all(handle, chunks):
    """Collect what comes out of a pseudo-terminal, until the other side is closed."""
    while True:
        try:
            chunk = os.read(handle, 65536)
        except OSError:  # how Linux says that the other side is closed
            return
        if not chunk:
            return
        chunks.append(chunk)


def harmless(sent, own=OWN):
    """The text in ``sent``, of which nothing acts but what the displays send on purpose: ``own``."""
    text = own.sub("", sent.decode("utf-8"))
    assert visible(text) == text, sorted({hex(ord(sign)) for sign in text if visible(sign) != sign})
    assert not re.search(rb"\x1b[^\[]|\x1b\[[^\x40-\x7e]*[^\x40-\x7eABGKmlh\d;?]", sent)
    return text
