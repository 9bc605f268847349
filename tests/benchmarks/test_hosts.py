"""The hosts on one machine: the switch between them, and with root's rights the hosts themselves."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("fcntl")

from hosts_network import Switch, missing

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = """
import sys, tempfile
from hosts_network import Network, end_with_the_process_outside, inside, outside
if not inside():
    sys.exit(outside(__file__, sys.argv[1:]))
end_with_the_process_outside()
with tempfile.TemporaryDirectory() as folder, Network(folder, 3) as network:
    network.start(["sh", "-c", "hostname; ls /dev/shm; touch /dev/shm/mine; cat /proc/net/dev | grep -c :"]).wait()
    network.start([network.agent, "-x", "host3", "hostname; ls", "/dev/shm"]).wait()
    server = network.start([network.agent, "host2", sys.executable, sys.argv[1], "serve"])
    print(network.start([sys.executable, sys.argv[1], "ask"]).wait(), flush=True)
    network.cut(1)
    print(network.start([sys.executable, sys.argv[1], "ask"]).wait(), flush=True)
    network.mend(1)
    print(network.start([sys.executable, sys.argv[1], "ask"]).wait(), flush=True)
"""
TALK = """
import socket, sys, time
if sys.argv[1] == "serve":
    server = socket.create_server(("", 4711))
    while True:
        server.accept()[0].sendall(b"here")
for _ in range(100):
    try:
        with socket.create_connection(("host2", 4711), 1.0) as connection:
            sys.exit(0 if connection.recv(4) == b"here" else 1)
    except ConnectionRefusedError:
        time.sleep(0.1)
    except OSError:
        sys.exit(2)
"""


@pytest.fixture
def plug():
    """A function that starts a switch; it returns the switch and the hosts' ends of three links."""
    with contextlib.ExitStack() as opened:

        def plug(delay=0.0, loss=0.0):
            switch, hosts = Switch(delay, loss, seed=1), []
            for _ in range(3):
                here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                hosts.append(opened.enter_context(here))
                switch.taps.append(opened.enter_context(there).fileno())
                here.settimeout(5)
            switch.start()
            opened.callback(switch.close)
            return switch, hosts

        yield plug


def frame(to, text=b""):
    """A frame for a host by its number, or for all."""
    return (b"\xff" * 6 if to is None else bytes((2, 0, 0, 0, 0, to + 1))) + b"\0" * 8 + text


def nothing_comes(link):
    link.settimeout(0.2)
    with pytest.raises(TimeoutError):
        link.recv(100)
    link.settimeout(5)


def test_a_frame_goes_to_its_host_only(plug):
    _, (one, two, three) = plug()
    one.send(frame(1, b"hello"))
    assert two.recv(100) == frame(1, b"hello")
    nothing_comes(three)
    nothing_comes(one)


def test_a_broadcast_goes_to_all_others(plug):
    _, (one, two, three) = plug()
    two.send(frame(None, b"who"))
    assert one.recv(100) == three.recv(100) == frame(None, b"who")
    nothing_comes(two)


def test_a_delay(plug):
    _, (one, two, _) = plug(delay=0.3)
    begun = time.monotonic()
    for number in range(3):
        one.send(frame(1, bytes([number])))
    assert [two.recv(100)[-1] for _ in range(3)] == [0, 1, 2]
    assert time.monotonic() - begun >= 0.3


def test_some_frames_get_lost(plug):
    switch, (one, two, _) = plug(loss=0.5)
    for number in range(100):
        one.send(frame(1, bytes([number])))
    two.settimeout(0.5)
    came = []
    with pytest.raises(TimeoutError):
        while True:
            came.append(two.recv(100)[-1])
    assert came == sorted(came)
    assert len(came) == 100 - switch.lost
    assert 30 < switch.lost < 70


def test_nothing_goes_to_a_host_that_is_unplugged_nor_comes_from_it(plug):
    switch, (one, two, three) = plug()
    switch.unplugged.add(1)
    one.send(frame(1))
    two.send(frame(0))
    nothing_comes(two)
    nothing_comes(one)
    one.send(frame(2, b"as before"))
    assert three.recv(100) == frame(2, b"as before")


def test_what_is_missing_is_said_in_one_line(tmp_path):
    environment = os.environ | {"PATH": str(tmp_path)}
    command = [sys.executable, ROOT / "benchmarks" / "hosts.py", "check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "it lacks" in done.stderr and "iproute2" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(bool(missing()), reason=f"this machine lacks {missing()}")
def test_hosts(tmp_path):
    """Three hosts with names, shared memory and a network of their own; one is cut off and connected again."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "talk.py").write_text(TALK)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", tmp_path / "talk.py"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stdout.split(), done.stderr) == (["host1", "2", "host3", "0", "2", "0"], "")
