"""A REST endpoint on loopback: it keeps what it is sent, and answers as a test says."""

import contextlib
import dataclasses
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An answer that is an error: its status, and why."""

    status: int
    why: str


Answer: TypeAlias = dict[str, Any] | Refusal | None
"""What an endpoint says; None is not found."""


@dataclasses.dataclass
class RestServer:
    """An endpoint.

    Attributes:
      answers: by 'METHOD path', what is answered to one request after another, the last for good.
      requests: 'METHOD path' and the body of each, as they came.
      address: where it listens.
    """

    answers: dict[str, list[Answer]] = dataclasses.field(default_factory=dict)
    requests: list[tuple[str, Any]] = dataclasses.field(default_factory=list)
    address: str = ""

    def answer(self, request: str, body: Any) -> Answer:
        """Return what to answer."""
        self.requests.append((request, body))
        answers = self.answers.get(request, [None])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def rest() -> Iterator[RestServer]:
    """An endpoint that knows nothing yet."""
    service = RestServer()
    with serving(lambda method, path, body: service.answer(f"{method} {path}", body)) as service.address:
        yield service


@contextlib.contextmanager
def serving(answer: Callable[[str, str, Any], Answer]) -> Iterator[str]:
    """Serve REST on loopback by a function of method, path and body; give the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_json = "json" in self.headers.get("Content-Type", "")
            path = re.sub(r"\?.*", "", self.path)
            found = answer(self.command, path, json.loads(sent) if sent and is_json else sent)
            found = Refusal(404, path) if found is None else found
            status = found.status if isinstance(found, Refusal) else 200
            said = {"error": {"code": status, "message": found.why}} if isinstance(found, Refusal) else found
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    # The word localhost is what lets Beam speak REST to it.
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
