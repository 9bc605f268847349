"""Proving a run: its digests compared, and parts of it trained again and compared byte by byte.

It imports what trains and what keeps runs, and knows no screen.  Begin with ``verifier.py``.
"""

from charrnn.verification.verifier import Verifier

__all__ = ["Verifier"]
