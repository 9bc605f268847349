"""A run with teachers: networks that are trained first, and whose mean probabilities the run's own network learns too.

Each teacher is a run of its own, with the settings of the main run but another seed and the default dropout, in the
folder ``teacher-1``, ``teacher-2``, … of the run's folder.  So a run that is stopped anywhere resumes there: the main
run is saved before its first teacher begins, and a teacher resumes from its own last checkpoint.
"""

from collections.abc import Iterator
from dataclasses import replace

from charrnn.checkpoints.run_store import RunStore, Warn
from charrnn.errors import CheckpointError
from charrnn.inference.ensemble import Ensemble
from charrnn.network.network import Network
from charrnn.records import ProgressCallback
from charrnn.training.distillation import targets_of_networks
from charrnn.training.run import Run
from charrnn.training.trainer import Trainer


class Teachers:
    """The teachers of a run, in the order in which they are trained.

    Args:
        run: the main run.
        folder: its folder.
        warn: called with a line about a damaged checkpoint of a teacher.
    """

    def __init__(self, run: Run, folder: RunStore, warn: Warn):
        self._run, self._folder, self._warn = run, folder, warn
        self.count = run.config.teachers

    def trainers(self) -> Iterator[tuple[int, Trainer]]:
        """The number and a trainer of each teacher that is not complete.

        Train each teacher before asking for the next one.  After the first step of the main run there are none, because
        its teachers must not change any more.

        Raises:
            CharRNNError: a checkpoint cannot be read or written.
        """
        run = self._run
        if run.counters.step or not self.count:
            return
        if run.resumed_from is None:
            self._folder.remove_teachers()  # of a run that this one replaces
            self._folder.begin(run.full_checkpoint())
        for number in range(1, self.count + 1):
            folder = self._folder.teacher(number)
            with folder.locked():
                trainer = self._trainer(number, folder)
                if not trainer.is_complete:
                    yield number, trainer

    def teach(self, progress: ProgressCallback) -> None:
        """Have the main run learn from its teachers, which have been trained.

        Raises:
            CheckpointError: a teacher is not there any more, or damaged.
        """
        networks = []
        for number in range(1, self.count + 1):
            folder = self._folder.teacher(number)
            if not folder.exists():
                raise CheckpointError(f"{folder.path}: the run's teacher is not there any more: put it back")
            checkpoint = folder.load(self._warn)
            self._folder.bind_teacher(number)
            networks.append(Network(checkpoint.model, None, self._run.network.team.threads))
            networks[-1].set_parameters(checkpoint.parameters)
        config = self._run.config
        ids = self._run.parts.train
        self._run.soft_targets = targets_of_networks(Ensemble(networks), ids, config.teacher_weight, progress)

    def _trainer(self, number: int, folder: RunStore) -> Trainer:
        run = self._run
        alone = {
            "teachers": 0,
            "dropout": None,
            "recurrent_dropout": None,
            "ngrams": "off",
            "snapshots": False,
            "sample_every": 0,
        }
        config = replace(run.config, seed=run.config.seed + number, **alone)
        resume = folder.to_resume(self._warn)
        network = Network(run.network.config, config.seed, run.network.team.threads, config.init, config.forget_bias)
        return Trainer(Run(network, config, run.parts, run.vocabulary, run.corpus, resume), folder)
