"""Texts: from files and pipes to characters, from characters to ids, from ids to windows for training.

It imports ``system``, ``records`` and ``errors``.  Begin with ``corpus.py``, then ``vocabulary.py`` and ``windows.py``.
"""

from charrnn.text.catalog import CatalogEntry, find_text, load_catalog
from charrnn.text.corpus import Corpus, open_corpus, split
from charrnn.text.python_source import python_sources, write_python_sources
from charrnn.text.sources import Source
from charrnn.text.statistics import BadByte, TextStatistics, text_statistics
from charrnn.text.vocabulary import Vocabulary

__all__ = [
    "BadByte",
    "CatalogEntry",
    "Corpus",
    "Source",
    "TextStatistics",
    "Vocabulary",
    "find_text",
    "load_catalog",
    "open_corpus",
    "python_sources",
    "split",
    "text_statistics",
    "write_python_sources",
]
