"""What the machine gives: durable files, user folders, memory, threads, strict JSON, a stopwatch.

It imports ``errors`` and no other room.  Begin with ``files.py``, on which every promise about files rests.
"""
