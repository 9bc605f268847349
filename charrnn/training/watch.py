"""Tells when another rank is lost: its process has ended, or its computer cannot be reached.

MPI does not say so: a rank that waits for a lost one waits for ever.  So every rank has a TCP connection to the first
rank, on which both send a byte every few seconds.  The operating system closes the connection of a process that ends,
however it ends.
"""

import contextlib
import os
import secrets
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

BEAT_S = 2.0  # between two bytes
SILENCE_S = 20.0  # after which a rank is lost
CONNECT_S = 5.0  # for each address of the first rank
_BEAT, _BYE, _ERROR = b".", b"!", b"?"  # the last two: a rank ends in order; it ends with an error, which it shows
_HELLO = struct.Struct("<32sI")  # a token, and the number of the rank


class Watch:
    """Ends this process, and with it all ranks, when a rank is lost.

    Args:
        number, size: of this rank, and how many there are.
        host: the name of this computer, for messages.
        from_first: has all ranks get a value of the first one.
        abort: ends all ranks with an exit status.

    Attributes:
        sees_all: whether this rank would notice the loss of each rank that it has to watch: on the first rank all
            others, on another one the first.
    """

    def __init__(self, number: int, size: int, host: str, from_first: Callable, abort: Callable[[int], None]):
        self._number, self._size, self._host, self._abort = number, size, host, abort
        self.sees_all = self._is_over = False
        self._listener: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._peers: dict[socket.socket, int] = {}
        self._failing: set[int] = set()  # ranks that show an error of their own
        port, token, addresses = from_first(self._listen)
        self._token = token.encode()
        if not port:
            return
        if number == 0:
            threading.Thread(target=self._accept, daemon=True).start()
        else:
            self._connect(addresses, port)
        self._thread.start()

    def _listen(self) -> tuple[int, str, list[list[str]]]:
        """Open the first rank's port; returns it with a token that only the ranks know, and the rank's addresses.

        The port is 0 if none can be opened: then nothing is watched.
        """
        try:
            self._listener = socket.create_server(("", 0), backlog=self._size)
        except OSError:
            return 0, "", []
        return self._listener.getsockname()[1], secrets.token_hex(16), [[self._host, *_addresses()]]

    def _accept(self) -> None:
        """Take the connections of the other ranks; what does not know the token is dropped."""
        while len(self._peers) < self._size - 1 and not self._is_over:
            with contextlib.suppress(OSError), contextlib.ExitStack() as dropped:
                connection, _ = self._listener.accept()
                dropped.callback(connection.close)
                connection.settimeout(CONNECT_S)
                token, number = _HELLO.unpack(_read(connection, _HELLO.size))
                if secrets.compare_digest(token, self._token):
                    connection.sendall(_BEAT)
                    self._peers[connection] = number
                    dropped.pop_all()
        self._listener.close()
        self.sees_all = True

    def _connect(self, addresses: list[list[str]], port: int) -> None:
        """Connect to the first rank. Another program may have the port on an address of another network: it is silent.

        Only the first rank answers.
        """
        host, *others = addresses[0]
        for address in ["127.0.0.1"] if host == self._host else [*others, host]:
            with contextlib.suppress(OSError), contextlib.ExitStack() as dropped:
                connection = socket.create_connection((address, port), CONNECT_S)
                dropped.callback(connection.close)
                connection.sendall(_HELLO.pack(self._token, self._number))
                connection.settimeout(SILENCE_S)
                if _read(connection, 1) == _BEAT:
                    self._peers[connection] = 0
                    self.sees_all = True
                    dropped.pop_all()
                    return

    def _run(self) -> None:
        """Send and receive the bytes, until a rank is lost or the watch is closed.

        Time in which this process itself was stopped, by SIGSTOP or a batch system, is no silence of the others.
        """
        silent: dict[socket.socket, float] = {}
        sent, before = 0.0, time.monotonic()
        while not self._is_over:
            now = time.monotonic()
            passed, before = min(now - before, BEAT_S), now
            peers = dict(self._peers)
            if now - sent >= BEAT_S:
                sent = now
                for peer in peers:
                    with contextlib.suppress(OSError):  # its loss is found below
                        peer.send(_BEAT)
            ready, _, _ = select.select(list(peers), [], [], BEAT_S / 4) if peers else ([], [], time.sleep(BEAT_S / 4))
            for peer, number in peers.items():
                silent[peer] = silent.get(peer, 0.0) + passed
                if peer in ready:
                    silent[peer] = 0.0
                    try:
                        received = peer.recv(4096)
                    except OSError:
                        received = b""
                    if _ERROR in received:
                        self._failing.add(number)
                    if _BYE in received:
                        self._peers.pop(peer)
                        peer.close()
                    elif not received:
                        self._lose(number, "has ended")
                elif silent[peer] > SILENCE_S:
                    self._lose(number, f"has not answered for {SILENCE_S:.0f} seconds")

    def _lose(self, number: int, how: str) -> None:
        """End all ranks. Only one of those that are left says why."""
        if self._is_over:
            return
        self._is_over = True
        if self._number <= 1 and number not in self._failing:
            self._say(f"rank {number} {how}: all ranks end; the last checkpoint is kept, and --resume goes on from it")
        threading.Timer(3.0, os._exit, (1,)).start()  # if the library of MPI cannot end them
        self._abort(1)

    def _say(self, sentence: str) -> None:
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write(f"Error: {sentence}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Watch no more: this rank ends in order."""
        self._end(_BYE)

    def fail(self) -> None:
        """Watch no more: this rank ends with an error, and those that watch it end with it, without a word."""
        self._end(_ERROR)

    def _end(self, how: bytes) -> None:
        self._is_over = True
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                peer.send(how)
        if self._listener is not None:
            self._listener.close()


def _read(connection: socket.socket, size: int) -> bytes:
    """``size`` bytes.

    Raises:
        OSError: the other side has closed the connection before.
    """
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise OSError("closed")
        found += part
    return found


def _addresses() -> list[str]:
    """The IPv4 addresses of this computer: those of its interfaces where the system tells, else by its name."""
    found = []
    try:
        import fcntl

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            for _, name in socket.if_nameindex():
                with contextlib.suppress(OSError):
                    request = struct.pack("256s", name[:15].encode())
                    answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
                    found.append(socket.inet_ntoa(answer[20:24]))
    except (ImportError, OSError):
        with contextlib.suppress(OSError):
            found = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]
