"""Proving a run: its digests compared, and parts of it trained again and compared byte by byte.

The room may import errors, records, config, system, text, network, checkpoints and training, and knows no screen.
Begin with ``verifier.py`` (a segment is trained again), then read ``replay.py`` (the trainer goes by a log) and
``history.py`` (what a run has kept).
"""

from charrnn.verification.verifier import Verifier

__all__ = ["Verifier"]
