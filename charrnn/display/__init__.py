"""Everything people see: terminal text, live displays, figures and pages.

It knows records, strings and arrays, never a network: it imports errors, records, sanitise, config, system,
inspection and writing, and only terminal, reports and training import rich.
Begin with terminal/console.py and then reports/gallery.py: palette mixes colours, terminal lays out lines, reports
turns records into lines, training shows a run, writing is an editor, figures draws SVG and PNG, page writes HTML.
"""
