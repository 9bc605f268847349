"""A web server on this machine that misbehaves on request."""

import http.server
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path

CERTIFICATE = Path(__file__).parents[1] / "goldens" / "loopback.pem"  # for 127.0.0.1; its key protects nothing
TEXT = b"".join(b"line %d of a text\n" % number for number in range(5000))


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` at /a.txt, remembers the Range headers in ``asked``, and misbehaves as its attributes say."""

    daemon_threads = True

    def __init__(self, tls: bool = False):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = TEXT
        self.ranges = True  # whether it supports Range requests
        self.cut: int | None = None  # the number of bytes after which it breaks off
        self.length: int | str | None = "right"  # the Content-Length it sends
        self.content_range: str | None = None  # the Content-Range it sends instead of the right one
        self.redirect: str | None = None  # where /moved.txt leads
        self.headers: dict[str, str] = {}  # further headers
        self.status = 200
        self.silent_at: int | None = None  # the byte before which it stops sending; -1: before it answers
        self.drip = False  # whether it sends single bytes with pauses
        self.go_on = threading.Event()
        self.asked: list[str | None] = []
        self.conditions: list[str | None] = []  # the If-Range headers
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/a.txt"

    def handle_error(self, request, client_address):
        pass  # tests make clients close connections


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, content, start = self.server, self.server.content, 0
        asked = self.headers.get("Range")
        server.asked.append(asked)
        condition = self.headers.get("If-Range")
        server.conditions.append(condition)
        if server.silent_at == -1:
            server.go_on.wait(30)
            return
        if self.path == "/moved.txt":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if self.path != "/a.txt":
            self.send_error(404)
            return
        if asked and server.ranges and (condition is None or condition in server.headers.values()):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            true = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", server.content_range or true)
        else:
            self.send_response(server.status)
        length = len(content) - start if server.length == "right" else server.length
        if length is not None:
            self.send_header("Content-Length", str(length))
        for header in server.headers.items():
            self.send_header(*header)
        self.end_headers()
        stop = server.cut if server.silent_at is None else server.silent_at
        if server.drip:
            for place in range(start, len(content)):
                self.wfile.write(content[place : place + 1])
                if server.go_on.wait(0.02):
                    return
        self.wfile.write(content[start:stop])
        if server.silent_at is not None:
            server.go_on.wait(30)


@contextmanager
def serving(tls: bool = False):
    """A context in which a server runs."""
    with Server(tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()
