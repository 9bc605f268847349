"""A network of hosts on one machine, made of Linux namespaces and a switch in this process.

A host is a process with its own network, host name, System V shared memory, ``/dev/shm`` and ``/etc/hosts``.  It shares
processors, files and process numbers with the other hosts.  Its only link is a TAP device, eth0, whose other end is
here: :class:`Switch` forwards the frames, and can delay them, lose some at random, and unplug a host.  The kernel's
netem is not needed, which many kernels do not have.

All of it lives in namespaces of its own without any link to the machine's network.  The first process in them is the
one that runs :func:`inside`: when it ends, the kernel ends every process of every host and removes all devices.
Addresses are of 198.18.0.0/15, which RFC 2544 reserves for tests of networks.
"""

import fcntl
import os
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

NETWORK = "198.18.0.0/24"
MTU = 9000  # bytes, of an Ethernet with jumbo frames
TUNSETIFF, TUNSETCARRIER = 0x400454CA, 0x400454E2  # linux/if_tun.h
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
BROADCAST = 1  # the bit of a frame's first byte that says that it goes to several hosts
INSIDE = "HOSTS_INSIDE"  # variable: the file descriptor that closes when the process outside ends
RANKS = (b"PMI_RANK=", b"OMPI_COMM_WORLD_RANK=")  # variables of a rank of MPICH, of Open MPI


def missing():
    """What this machine lacks for such a network, as text; empty if nothing."""
    lacks = []
    if not sys.platform.startswith("linux"):
        return "Linux"
    if os.geteuid():
        lacks.append("root's rights")
    for tool, package in ("ip", "iproute2"), ("unshare", "util-linux"), ("nsenter", "util-linux"), ("mount", "mount"):
        if shutil.which(tool) is None:
            lacks.append(f"the command {tool} (of the package {package})")
    if not Path("/dev/net/tun").exists():
        lacks.append("/dev/net/tun (the kernel's TUN/TAP driver)")
    return ", ".join(lacks)


def inside():
    """Whether this process is the first one of namespaces of its own."""
    return INSIDE in os.environ


def outside(script, arguments):
    """Run ``script`` once more as the first process of namespaces of its own; returns its exit status.

    The first Ctrl-C is left to the program that runs there.  At the second one, at SIGTERM, and if this process is
    killed, everything inside ends.
    """
    watched, held = os.pipe()
    command = ["unshare", *("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process = subprocess.Popen(
        [*command, sys.executable, script, *arguments], pass_fds=(watched,), env=os.environ | {INSIDE: str(watched)}
    )
    os.close(watched)
    try:
        try:
            return process.wait()
        except KeyboardInterrupt:
            print(
                "\nThe program inside was interrupted. Press Ctrl-C again to end everything at once.", file=sys.stderr
            )
            return process.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        os.close(held)
        process.wait()


def end_with_the_process_outside():
    """Have this process end, and with it all processes of the namespaces, when the process outside has ended."""
    watched = int(os.environ[INSIDE])

    def watch():
        os.read(watched, 1)
        os._exit(143)

    threading.Thread(target=watch, daemon=True).start()


class Switch(threading.Thread):
    """Forwards Ethernet frames between the hosts.

    Attributes:
        delay: of every frame, in seconds.
        loss: the probability that a frame is lost.
        unplugged: the hosts whose frames go nowhere.
        frames, lost: how many were to be forwarded, and how many of them got lost.
    """

    def __init__(self, delay, loss, seed):
        super().__init__(daemon=True)
        self.delay, self.loss, self.chance = delay, loss, random.Random(seed)
        self.taps, self.unplugged = [], set()
        self.frames = self.lost = 0
        self.ended, self.end = os.pipe()

    def close(self):
        """Forward nothing from here on; frames that are delayed get lost."""
        os.write(self.end, b".")
        self.join()
        os.close(self.end)
        os.close(self.ended)

    def run(self):
        waiting, poll = deque(), select.poll()
        poll.register(self.ended, select.POLLIN)
        for tap in self.taps:
            os.set_blocking(tap, False)
            poll.register(tap, select.POLLIN)
        numbers = {tap: number for number, tap in enumerate(self.taps)}
        while True:
            timeout = None
            if waiting:
                timeout = max(0.0, waiting[0][0] - time.monotonic()) * 1e3
            for tap, _ in poll.poll(timeout):
                if tap == self.ended:
                    return
                for _ in range(64):
                    try:
                        frame = os.read(tap, MTU + 64)
                    except (BlockingIOError, OSError):  # no more; the link is down
                        break
                    for to in self.receivers(numbers[tap], frame):
                        waiting.append((time.monotonic() + self.delay, to, frame))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, to, frame = waiting.popleft()
                self.send(to, frame)

    def receivers(self, sender, frame):
        """The hosts that a frame goes to; none if it gets lost."""
        self.frames += 1
        if sender in self.unplugged:
            return ()
        if self.loss and self.chance.random() < self.loss:
            self.lost += 1
            return ()
        if frame[0] & BROADCAST:
            return [number for number in range(len(self.taps)) if number != sender]
        return (frame[5] - 1,) if 0 < frame[5] <= len(self.taps) else ()

    def send(self, to, frame):
        if to in self.unplugged:
            return
        try:
            os.write(self.taps[to], frame)
        except OSError:  # the receiver's queue is full, or its link is down: the frame is lost, as in a switch
            self.lost += 1


class Network:
    """``count`` hosts, host1, host2, …, and the switch between them; a context manager.

    Args:
        folder: for the files that describe the hosts.
        count: from 1 to 99.
        delay: of every frame, in seconds; a message and its answer are delayed twice.
        loss: the probability that a frame is lost.
        seed: of the frames that are lost.
    """

    def __init__(self, folder, count, delay=0.0, loss=0.0, seed=1):
        self.folder, self.names = Path(folder), [f"host{number}" for number in range(1, count + 1)]
        self.switch = Switch(delay, loss, seed)
        self.processes, self.sockets = [], []
        self.agent = self.folder / "agent"

    def __enter__(self):
        table = "".join(f"{address(number)} {name}\n" for number, name in enumerate(self.names))
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{table}")
        for number, name in enumerate(self.names):
            here, there = socket.socketpair()
            command = ("unshare", "--net", "--uts", "--ipc", "--mount", sys.executable, __file__)
            arguments = (str(there.fileno()), name, str(number), str(self.folder / "hosts"))
            process = subprocess.Popen([*command, *arguments], pass_fds=(there.fileno(),), start_new_session=True)
            there.close()
            self.processes.append(process)
            self.sockets.append(here)
            _, taps, _, _ = socket.recv_fds(here, 1, 1)
            if not taps:
                raise SystemExit(f"{name} could not be made; its message stands above")
            self.switch.taps += taps
            (self.folder / f"{name}.pid").write_text(str(process.pid))
        self.agent.write_text(AGENT.format(folder=self.folder, path=os.environ["PATH"]))
        self.agent.chmod(0o755)
        self.switch.start()
        return self

    def __exit__(self, *_):
        for process in [*self.ranks(), *self.processes]:
            os.kill(getattr(process, "pid", process), signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.switch.close()

    def start(self, command, **options):
        """A process on the first host; ``options`` as of :class:`subprocess.Popen`."""
        return subprocess.Popen([self.agent, self.names[0], "--here", *map(str, command)], **options)

    def cut(self, number, how="link"):
        """Cut a host off: its link goes down ("link"), or all its frames get lost and the link stays up ("silent")."""
        self.switch.unplugged.add(number)
        if how == "link":
            fcntl.ioctl(self.switch.taps[number], TUNSETCARRIER, struct.pack("i", 0))

    def mend(self, number):
        """Connect a host again."""
        fcntl.ioctl(self.switch.taps[number], TUNSETCARRIER, struct.pack("i", 1))
        self.switch.unplugged.discard(number)

    def ranks(self, number=None):
        """The process numbers of all ranks that are running, or of those on one host."""
        wanted = None if number is None else Path(f"/proc/{self.processes[number].pid}/ns/net").readlink()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                is_rank = any(value.startswith(RANKS) for value in (entry / "environ").read_bytes().split(b"\0"))
                ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                if is_rank and not ended and wanted in (None, (entry / "ns" / "net").readlink()):
                    found.append(int(entry.name))
            except OSError:  # it has ended meanwhile
                continue
        return found


def address(number):
    return f"198.18.0.{number + 1}"


# What starts a program on a host, as ssh would: without the caller's variables, in another folder, with a shell that
# reads the words once more.  With --here as the first word, variables, folder and words are kept.  Temporary files are
# each host's own: Open MPI names them by process numbers, which other hosts' processes have as well.
AGENT = """\
#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
host=$1; shift
enter="nsenter --target $(cat '{folder}'/"$host".pid) --net --uts --ipc --mount --"
if [ "$1" = --here ]; then
    shift; exec $enter env TMPDIR=/dev/shm sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
fi
exec $enter env -i HOME="$HOME" USER="$USER" PATH='{path}' TMPDIR=/dev/shm sh -c "cd /; $*"
"""


def be_a_host(arguments):
    """The process of a host: makes its network, hands the other end of its link over, and waits for its end."""
    held, name, number, hosts = socket.socket(fileno=int(arguments[0])), arguments[1], int(arguments[2]), arguments[3]
    socket.sethostname(name)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
    Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    for command in (
        "ip link set lo up",
        f"ip link set eth0 address 02:00:00:00:00:{number + 1:02x} mtu {MTU} txqueuelen 10000",
        f"ip address add {address(number)}/24 dev eth0",
        "ip link set eth0 up",
        "mount -t tmpfs -o size=1g tmpfs /dev/shm",
        f"mount --bind {hosts} /etc/hosts",
    ):
        subprocess.run(command.split(), check=True)
    socket.send_fds(held, [b"."], [tap])
    os.close(tap)
    held.recv(1)


if __name__ == "__main__":
    be_a_host(sys.argv[1:])
