"""Other people's formats: PyTorch, ONNX, Hugging Face, char-rnn and torch-rnn, TensorBoard and spreadsheets.

It imports what ``checkpoints`` imports; PyTorch and ONNX are imported inside functions, and only where they are asked
for.  Begin with ``to_pytorch.py`` for what is written, and with ``importing.py`` for what is read; docs/NEIGHBOURS.md
describes the files.
"""
