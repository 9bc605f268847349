"""Reports: results of inspection and analysis as lines for a terminal.

A report imports terminal and rich; it takes strings, arrays and the objects that ``--json`` writes.
Begin with gallery.py, which colours one stretch of text by several cells.
"""
