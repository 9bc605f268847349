"""What the cells of a model do while it reads or writes a text, and what the model loses without them.

The room imports version, errors, records, system, text, kernels, network, checkpoints, inference and model; it does not
know the display. Begin with ``reading.py``, then ``hypotheses.py`` and ``search.py``, then ``ablation.py``;
for the heads of a Transformer with ``attention.py``, then ``head_patterns.py`` and ``head_search.py``.
"""
