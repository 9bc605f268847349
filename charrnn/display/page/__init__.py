"""A read text as one HTML page that loads no other file and no network resource.

It imports sanitise, palette, figures (colours as ``#rrggbb``) and inspection.reading.
Begin with page.py, then data.js, text.js, panel.js and controls.js, in the order in which the page runs them.
"""
