"""A team of threads; and the tests' own helper, which must notice when one thread does all the work."""

import threading

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.network.network import Network
from charrnn.system.threads import OWN, Team
from charrnn.training.optimizer import Optimizer


@pytest.fixture(params=[1, 2, 3, 5])
def team(request):
    made = Team(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_task_is_done_once_by_as_many_workers_as_there_is_work_for(team, count):
    done = []
    with every_thread_works(workers=min(team.threads, count)) as watch:
        team.run(lambda worker, task: done.append((worker, task)), [(task,) for task in range(count)])
    assert sorted(task for _, task in done) == list(range(count))
    assert {worker for worker, _ in done} == set(range(min(team.threads, count)))
    assert watch.workers("test_threads") == {min(team.threads, count)}


def test_a_call_gets_what_its_worker_owns(team):
    own, found = [f"of worker {worker}" for worker in range(team.threads)], []
    with every_thread_works(workers=team.threads):
        team.share_out([(lambda *given: found.append(given), (OWN, number)) for number in range(9)], own)
    assert sorted(number for _, number in found) == list(range(9))
    assert {thing for thing, _ in found} == set(own)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_error_of_any_worker_is_raised_when_all_have_stopped(failing):
    team, abandoned, running = Team(3), threading.Event(), set()

    def work(worker, task):
        running.add(worker)
        if worker == failing:
            raise KeyboardInterrupt
        assert abandoned.wait(60)
        running.discard(worker)

    with every_thread_works(workers=3), pytest.raises(KeyboardInterrupt):
        team.run(work, [(0,), (1,), (2,)], abandoned.set)
    assert running == {failing}
    team.close()


def test_no_thread_at_all_is_refused():
    with pytest.raises(ConfigError, match="threads must be a whole number from 1, not 0"):
        Team(0)


# ---- the helper -------------------------------------------------------------------------------------------


def step(threads, batch=4):
    """One step of training with a network so small that one thread would do all of it."""
    network = Network(ModelConfig(9, 12, 1), threads=threads)
    x = np.zeros((3, batch), np.int32)
    network.loss_and_gradient(x, x, network.initial_state(batch))
    Optimizer(TrainConfig(), network.parameters, network.team).update(network.gradient, 0.01)


def test_the_helper_shares_the_smallest_work():
    with every_thread_works() as watch:
        step(2)
    for module in ("network", "packing", "weight_gradients", "optimizer"):
        assert watch.workers(module) == {2}, module
    with every_thread_works(workers=3) as watch:
        step(5, batch=3)
    assert watch.workers("network") == {3}


def test_the_helper_fails_where_one_thread_does_all_the_work():
    with pytest.raises(AssertionError, match="at most 1 of 2 workers had a task"), every_thread_works():
        step(threads=1)
    with pytest.raises(AssertionError, match="at most 2 of 3 workers"), every_thread_works(workers=3):
        step(threads=2)
    with pytest.raises(AssertionError, match="at most 0 of 2"), every_thread_works():
        pass


def test_the_helper_fails_where_the_team_is_not_asked(monkeypatch):
    """A network that decides by itself that its work is too small."""
    monkeypatch.setattr(Network, "team", property(lambda self: self.alone, lambda self, team: team.close()), False)
    with pytest.raises(AssertionError, match="at most 1 of 2"), every_thread_works():
        step(threads=2)


def test_the_helper_fails_where_one_worker_takes_every_task(monkeypatch):
    def alone(team, function, tasks, abandon=None):
        for task in tasks:
            function(0, *task)

    monkeypatch.setattr(Team, "run", alone)
    with pytest.raises(AssertionError, match=r"only workers \[0\] of 2 got a task"), every_thread_works(patience=0.1):
        step(threads=2)


def test_the_helper_does_not_hide_what_fails_inside():
    with pytest.raises(ZeroDivisionError), every_thread_works():
        step(threads=1)
        raise ZeroDivisionError
