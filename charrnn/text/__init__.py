"""Texts: from files and pipes to characters, from characters to ids, from ids to windows for training.

It imports ``system``, ``records`` and ``errors``.  Begin with ``corpus.py``, then ``vocabulary.py`` and ``windows.py``.
"""
