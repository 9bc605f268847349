"""The screen of ``charrnn write``: a text with the model's continuation, its guesses, and the colours of a cell.

It imports writing, sanitise and terminal; only screen.py imports prompt_toolkit.
Begin with screen.py, which binds keys: view.py lays out the lines of a screen, layout.py the rows of the text.
"""
