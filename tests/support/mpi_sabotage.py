"""charrnn in which something happens to one rank: ``mpi_sabotage.py RANK STEP WHAT ARGUMENTS…``.

WHAT happens when the rank begins step STEP of this process (from 1): the name of a signal that it gets, the name of an
error that it raises, or "wait": it writes "now" to stderr and waits until it is asked to stop.
"""

import os
import signal
import sys
import time

from charrnn import errors
from charrnn.training import trainer
from charrnn.training.mpi import _launched_number

rank, step, what, *arguments = sys.argv[1:]
train_step, calls = trainer.train_step, 0


def sabotaged(run, clock, done):
    global calls
    calls += 1
    if (calls, _launched_number()) == (int(step), int(rank)):
        if what.startswith("SIG"):
            os.kill(os.getpid(), getattr(signal, what))
        elif what == "wait":
            sys.stderr.write("now\n")
            sys.stderr.flush()
            while not run.ranks.is_asked_to_stop:
                time.sleep(0.01)
        else:
            raise getattr(errors, what, RuntimeError)(f"rank {rank} has a fault")
    return train_step(run, clock, done)


trainer.train_step = sabotaged

if __name__ == "__main__":
    from charrnn.__main__ import main

    sys.argv[1:] = arguments
    main()
