"""Cloud Storage on loopback: a real server of its protocol, behind a proxy that breaks answers when it is told to."""

import contextlib
import dataclasses
import fcntl
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator

GO = shutil.which("go")
SERVERS = ["gcp-storage-emulator", *(["fake-gcs-server"] if GO else [])]
"""What the tests run against; the second one checks preconditions and pages its lists, and needs Go to be built."""

REQUESTER_PAYS = (
    b'{"error": {"code": 400, "message": "Bucket is a requester pays bucket but no user project provided."}}'
)
"""What Google answers to a request for a bucket whose requester pays, if it names no project."""
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
DOWNLOAD = "alt=media"


@dataclasses.dataclass
class Fault:
    """What happens to the next requests that match: a status, or 'reset', 'cut', 'short', 'corrupt', 'slow', 'lost'."""

    what: int | str
    times: int
    matching: str = DOWNLOAD


class GcsServer:
    """A server and one bucket of it: puts and gets its objects, breaks the answers, and keeps a log of requests.

    `retry_after` is the header of that name, of all answers that are a status; `page` the length of a list's pages, 0
    for the server's own; `peers` holds the connection of each request; with `requester_pays`, each has to
    name a project.
    """

    def __init__(self, kind: str, backend: str, url: str):
        self.kind, self.backend, self.url, self.bucket = kind, backend, url, ""
        self.faults: list[Fault] = []
        self.retry_after, self.page, self.requester_pays = "", 0, False
        self.action: Callable[[], object] = lambda: None
        self.log: list[str] = []
        self.peers: list[tuple[str, int]] = []
        self.lock = threading.Lock()

    def fail(self, what: int | str, times: int = 1, matching: str = DOWNLOAD) -> None:
        """Break the next requests whose 'METHOD path' contains `matching`."""
        self.faults.append(Fault(what, times, matching))

    def before(self, matching: str, action: Callable[[], object]) -> None:
        """Do something, once, before the next request whose 'METHOD path' contains `matching` is answered."""
        self.faults.append(Fault("before", 1, matching))
        self.action = action

    def asked(self, matching: str = DOWNLOAD) -> int:
        """Count the requests whose 'METHOD path' contains `matching`."""
        return sum(matching in line for line in self.log)

    def take(self, line: str) -> int | str:
        """Log a request; return what is to happen to it, '' for nothing."""
        with self.lock:
            self.log.append(line)
            for fault in self.faults:
                if fault.times and fault.matching in line:
                    fault.times -= 1
                    return fault.what
        return ""

    def create_bucket(self, name: str) -> None:
        self._ask("POST", "/storage/v1/b?project=none", json.dumps({"name": name}).encode(), "application/json")
        self.bucket = name

    def put(self, name: str, data: bytes, content_type: str = "application/octet-stream") -> str:
        """Write an object; return its uri."""
        path = f"/upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={urllib.parse.quote(name, safe='')}"
        self._ask("POST", path, data, content_type)
        return f"gs://{self.bucket}/{name}"

    def put_folder(self, folder: pathlib.Path, prefix: str) -> str:
        """Write all files below a folder; return the folder's uri."""
        for path in folder.rglob("*.*"):
            self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"gs://{self.bucket}/{prefix}"

    def get(self, name: str) -> bytes:
        quoted = urllib.parse.quote(name, safe="")
        return self._ask("GET", f"/download/storage/v1/b/{self.bucket}/o/{quoted}?alt=media")

    def remove(self, name: str) -> None:
        quoted = urllib.parse.quote(name, safe="")
        status, _, answer = ask(self.backend, "DELETE", f"/storage/v1/b/{self.bucket}/o/{quoted}", b"", {})
        assert status in (200, 204), (name, status, answer)

    def generation(self, name: str) -> str:
        """Return an object's generation, '' if there is no such object."""
        return self.generation_at(f"/storage/v1/b/{self.bucket}/o/{urllib.parse.quote(name, safe='')}")

    def generation_at(self, path: str) -> str:
        """Return the generation of the object that a path of the JSON API names, '' if there is none."""
        path = urllib.parse.urlsplit(path).path.removeprefix("/download")
        status, _, answer = ask(self.backend, "GET", path, b"", {})
        return str(json.loads(answer)["generation"]) if status == 200 else ""

    def is_unchanged(self, path: str) -> bool:
        """Whether a request names, as not wanted, the generation that its object has; neither backend looks at it."""
        unwanted = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("ifGenerationNotMatch")
        return bool(unwanted) and unwanted == [self.generation_at(path)]

    def names(self, prefix: str = "") -> list[str]:
        """List the names of objects."""
        query = urllib.parse.urlencode({"prefix": prefix, "maxResults": 1000})
        found = json.loads(self._ask("GET", f"/storage/v1/b/{self.bucket}/o?{query}"))
        return sorted(item["name"] for item in found.get("items", []))

    def _ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> bytes:
        status, _, answer = ask(
            self.backend, method, path, body, {"Content-Type": content_type} if content_type else {}
        )
        assert status == 200, (method, path, status, answer)
        return answer


def ask(host: str, method: str, path: str, body: bytes, headers: dict) -> tuple[int, list[tuple[str, str]], bytes]:
    with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()


def proxy(server: GcsServer) -> type[http.server.BaseHTTPRequestHandler]:
    """Return the handler that passes requests on to the server, and breaks the answers."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def relay(self) -> None:
            body = self.body()
            server.peers.append(self.client_address)
            # A batch is matched by what it deletes, too.
            parts = re.findall(rb"^DELETE \S+", body, re.MULTILINE) if self.path.startswith("/batch") else []
            fault = server.take(" ".join([self.command, self.path, *(part.decode() for part in parts)]))
            if fault == "reset":
                self.close_connection = True
                return
            if isinstance(fault, int):
                self.reply(fault, [("Retry-After", server.retry_after)] if server.retry_after else [], b"injected")
                return
            if server.requester_pays and "userProject=" not in self.path:
                self.reply(400, [("Content-Type", "application/json")], REQUESTER_PAYS)
                return
            if fault == "before":
                server.action()
            if server.is_unchanged(self.path):
                self.reply(304, [], b"")
                return
            # fake-gcs-server answers only those parts of a batch that have an id, which Google's client gives none.
            body = re.sub(rb"(Content-Type: application/http)(\r?\n)", rb"\1\2Content-ID: <part>\2", body)
            asked = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            paged = f"&maxResults={server.page}" if server.page and self.command == "GET" and "/o?" in self.path else ""
            status, headers, answer = ask(server.backend, self.command, self.path + paged, body, asked)
            if DOWNLOAD in self.path and status == 200 and "X-Goog-Generation" not in dict(headers):
                # Not every backend names it.
                headers.append(("X-Goog-Generation", server.generation_at(self.path)))
            if fault == "lost":
                self.reply(503, [], b"injected")
                return
            if fault == "slow":
                time.sleep(0.3)
            if fault == "corrupt":
                answer = bytes([answer[0] ^ 1]) + answer[1:]
            if fault == "short":
                answer = answer[: len(answer) // 2]
            self.reply(status, headers, answer, cut=fault == "cut")

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = relay  # noqa: N815

        def body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def reply(self, status: int, headers: list[tuple[str, str]], answer: bytes, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in HOP:
                    self.send_header(name, value.replace(f"http://{server.backend}", server.url))
            # With 304 it would be the length of what is not sent.
            if status != 304:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer[: len(answer) // 2] if cut else answer)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: object) -> None:
            pass

    return Proxy


class Frontend(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        # Clients hang up on answers that they do not want to the end.
        pass


@contextlib.contextmanager
def gcs_server(kind: str, folder: pathlib.Path) -> Iterator[GcsServer]:
    """Start a server behind its proxy; `folder` keeps what has to be built for it."""
    port = free_port()
    frontend = Frontend(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server = GcsServer(kind, f"127.0.0.1:{port}", f"http://127.0.0.1:{frontend.server_address[1]}")
    frontend.RequestHandlerClass = proxy(server)
    if kind == "fake-gcs-server":
        command = [str(built(folder)), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
        command += ["-backend", "memory", "-external-url", server.url, "-log-level", "error"]
    else:
        command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--in-memory"]
        command += ["--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            threading.Thread(target=frontend.serve_forever, args=(0.02,), daemon=True).start()
            yield server
            frontend.shutdown()
        finally:
            frontend.server_close()
            process.kill()


def built(folder: pathlib.Path) -> pathlib.Path:
    """Build fake-gcs-server where it is not yet; a build that fails fails the tests."""
    binary = folder / "fake-gcs-server"
    with open(folder / "lock", "w") as lock:
        # Two processes of one test run would both begin, and the first to end would run the other's half a file.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            command = [str(GO), "install", "github.com/fsouza/fake-gcs-server@latest"]
            subprocess.run(command, env={**os.environ, "GOBIN": str(folder)}, check=True)
    return binary


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen) -> None:
    while True:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
