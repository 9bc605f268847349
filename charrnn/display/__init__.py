"""The terminal: everything that people see. The only package that imports rich.

It knows records, strings and arrays, never the network. Import its modules one by one, so that a command
pays for what it shows:

    console                 a command's two streams
    training, live          displays of a training run; made of run, area and curve
    heatmap, predictions    texts coloured by numbers; colours has the scales
    tables, columns         what is aligned
    sanitise, cells         untrusted text, and how wide text is; streams writes it
    figures                 numbers for people
"""
