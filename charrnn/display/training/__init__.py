"""Displays of a training run: live, plain lines, JSON lines, or none.

They import terminal, rich and the records of a run.
Begin with displays.py, which chooses a display; live.py redraws the screen that live_area.py lays out.
"""
