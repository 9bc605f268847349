"""Writing together with a model: a text and a cursor, what the model would write next, and its cells; no terminal.

It may import errors, sanitise, system, text, network, inference and model.  Begin with ``session.py``: ``draft.py`` is
the text with its undo, ``states.py`` has what the model remembers, ``manuscript.py`` is the file on the disk, and
``answers.py`` answers the requests of editors.
"""
