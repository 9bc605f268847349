"""Lines for a terminal: its streams, colours, text widths, tables, curves, heat maps and the pager.

It imports rich, sanitise and palette, and from the rest of the package nothing.
Begin with console.py, the two streams of a command; heatmap.py colours a text by numbers.
"""
