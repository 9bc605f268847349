"""Training: a loop that is a generator of records and knows no screen and no file format.

Everything a step does is a function of the configuration, the text and the step's number, so a run that is
stopped and resumed goes through the same bits as one that is not.  (A run under a time budget is the exception: its
learning rate follows the clock.)
"""

from charrnn.training.step import DivergedError
from charrnn.training.trainer import Trainer

__all__ = ["DivergedError", "Trainer"]
