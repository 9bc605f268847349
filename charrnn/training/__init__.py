"""Training a model: the loop, which yields records and knows no screen, and everything that a step and a run decide.

The room may import errors, records, config, settings, system, text, kernels, network, checkpoints and inference.
Begin with ``trainer.py`` (the loop), then read ``step.py`` (one step) and ``run.py`` (what a step works on);
``new_run.py`` makes a trainer from the settings.
"""

from charrnn.training.run import Run
from charrnn.training.step import DivergedError
from charrnn.training.trainer import Trainer

__all__ = ["DivergedError", "Run", "Trainer"]
