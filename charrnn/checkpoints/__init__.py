"""A trained model on disk: the checkpoint file, the folder of a run, snapshots, a growing vocabulary.

It imports ``network``, ``text``, ``system``, ``config``, ``records``, ``errors`` and ``version``.  Begin with
``checkpoint.py``; docs/FORMAT.md describes the file.  ``foreign/`` has other people's formats.
"""
