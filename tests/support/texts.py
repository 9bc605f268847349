"""Helpers of tests that write texts, read them back, or expect an error."""

import pytest

from charrnn.errors import CorpusError
from charrnn.text.corpus import open_corpus

CYRILLIC = "Мороз и солнце; день чудесный!\nЕщё ты дремлешь, друг прелестный\n"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_back(corpus):
    return corpus.vocabulary.decode(corpus.ids)


def failure(*arguments, error=CorpusError, **options):
    with pytest.raises(error) as caught:
        open_corpus(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message
