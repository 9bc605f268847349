"""The watch over other ranks: it ends a process when another one is lost, and only then."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from charrnn.training import watch
from charrnn.training.watch import Watch

PROGRAM = Path(__file__).parents[1] / "support" / "watched_process.py"
AT_MOST = 60  # seconds, on a loaded machine


class Process:
    """A rank; ``said`` reads its next line."""

    def __init__(self, number, size, *told, silence=1000.0):
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(number), str(size), *map(str, told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SILENCE_S": str(silence)},
            start_new_session=True,
        )

    def said(self):
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        """Its exit status and what it wrote to stderr."""
        status = self.process.wait(AT_MOST)
        return status, self.process.stdout.read(), self.process.stderr.read()


@pytest.fixture
def started():
    """Starts ranks that watch each other; none is left over."""
    with contextlib.ExitStack() as stack:

        def start(size, **options):
            ranks = [Process(0, size, **options)]
            stack.callback(_kill, ranks)
            port, token, addresses = json.loads(ranks[0].said())
            assert addresses[0][0] == "here"
            assert ranks[0].said() == "watches"
            for number in range(1, size):
                ranks.append(Process(number, size, port, token, **options))
                assert ranks[-1].said() == "watches"
            time.sleep(0.5)  # some bytes are sent
            return ranks

        yield start


def _kill(ranks):
    for rank in ranks:
        rank.process.kill()
        rank.process.wait()
        for stream in (rank.process.stdin, rank.process.stdout, rank.process.stderr):
            stream.close()


@pytest.mark.parametrize(("lost", "speaks"), [(0, 1), (1, 0), (2, 0)])
def test_a_killed_process_ends_those_that_watch_it(started, lost, speaks):
    ranks = started(3)
    ranks[lost].process.kill()
    status, out, err = ranks[speaks].end()
    assert status == 9
    assert out.splitlines()[-1] == "abort 1"
    assert err == (
        f"Error: rank {lost} has ended: all ranks end; the last checkpoint is kept, and --resume goes on from it\n"
    )
    # The first rank ends; so the others notice its end, and say nothing more.
    for number in {1, 2} - {lost, speaks}:
        status, out, err = ranks[number].end()
        assert (status, out.split()) == (9, ["abort", "1"])


@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_shows_an_error_ends_the_others_without_a_word(started, failing):
    """Also where it is killed before it can have MPI end them."""
    ranks = started(2)
    ranks[failing].process.stdin.write("fail\n")
    ranks[failing].process.stdin.flush()
    assert ranks[failing].end()[0] == 1
    assert ranks[1 - failing].end() == (9, "abort 1\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_silent_process_is_lost(started):
    first, second = started(2, silence=1.0)
    second.process.send_signal(signal.SIGSTOP)
    status, out, err = first.end()
    assert (status, out) == (9, "abort 1\n")
    assert "rank 1 has not answered for 1 seconds" in err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ranks_that_are_all_stopped_for_longer_than_that_go_on(started):
    """Ctrl-Z, a batch system that gives the processors to another job."""
    ranks = started(2, silence=1.0)
    for _ in range(3):
        for rank in ranks:
            rank.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        for rank in ranks:
            rank.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
    for rank in ranks:
        rank.close()
    assert [rank.end() for rank in ranks] == [(0, "closed\n", "")] * 2


def test_a_rank_that_ends_in_order_is_not_lost(started):
    ranks = started(3)
    for rank in reversed(ranks):
        rank.close()
        assert rank.said() == "closed"
        assert rank.end()[0] == 0
        time.sleep(0.5)
    assert ranks[0].process.returncode == 0


@pytest.fixture
def first_rank():
    """A first rank of two in this process; a list of what it would have aborted with."""
    told, aborted = [], []

    def from_first(listen):
        told.append(listen())
        return told[0]

    watching = Watch(0, 2, "here", from_first, aborted.append)
    yield watching, told[0], aborted
    watching.close()
    close_sockets(watching)


def close_sockets(watching):
    """A process does this when it ends."""
    watching._thread.join(AT_MOST)  # it still looks at the sockets
    for peer in watching._peers:
        peer.close()


def wait_until(condition):
    deadline = time.monotonic() + AT_MOST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_strangers_are_dropped_and_the_rank_still_gets_in(first_rank):
    watching, (port, token, addresses), aborted = first_rank
    for greeting in (b"GET / HTTP/1.0\r\n\r\n" + b" " * 100, b"\0" * 36, b""):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.settimeout(AT_MOST)
            stranger.sendall(greeting)
            with contextlib.suppress(OSError):  # it is already dropped
                stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(10) == b""
    assert not watching.sees_all
    second = Watch(1, 2, "here", lambda listen: [port, token, addresses], aborted.append)
    assert second.sees_all
    wait_until(lambda: watching.sees_all)
    second.close()
    close_sockets(second)
    assert not aborted


def test_a_port_that_belongs_to_another_program_is_not_taken_for_the_first_rank(monkeypatch):
    """It accepts the connection, and later closes it."""
    aborted = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        answers = iter([b"220 mail", b""])

        def serve():
            connection, _ = other.accept()
            connection.sendall(next(answers))
            connection.close()

        for _ in range(2):
            thread = threading.Thread(target=serve)
            thread.start()
            told = [other.getsockname()[1], "a" * 32, [["here"]]]
            watching = Watch(1, 2, "here", lambda listen, told=told: told, aborted.append)
            thread.join(AT_MOST)
            assert not watching.sees_all
            watching.close()
    assert not aborted


def test_without_a_port_nothing_is_watched(monkeypatch):
    def refuse(*arguments, **named):
        raise PermissionError("no network here")

    monkeypatch.setattr(watch.socket, "create_server", refuse)
    told = []

    def from_first(listen):
        told.append(listen())
        return told[0]

    first = Watch(0, 2, "here", from_first, pytest.fail)
    second = Watch(1, 2, "here", lambda listen: told[0], pytest.fail)
    assert not first.sees_all
    assert not second.sees_all
    first.close()
    second.close()


def test_addresses_are_those_of_networks():
    for address in watch._addresses():
        socket.inet_aton(address)
        assert not address.startswith("127.")
