"""Other people's formats: a model or a log for PyTorch, ONNX, Hugging Face, TensorBoard and spreadsheets.

It imports what ``checkpoints`` imports; PyTorch and ONNX are imported inside functions, and only where they are asked
for.  Begin with ``to_pytorch.py``; docs/NEIGHBOURS.md describes the files.
"""
