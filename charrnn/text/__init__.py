"""Texts: from files and pipes to characters, from characters to ids, from ids to windows for training.

It imports ``errors``, ``records`` and ``system``.  Begin with ``corpus.py``, then ``vocabulary.py`` and ``windows.py``.
"""
