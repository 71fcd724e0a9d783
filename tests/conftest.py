"""What tests share: sample images, a loopback server, and the folder of test data that is not part of the project."""

import gc
import http.server
import os
import pathlib
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import PIL.Image
import pytest

from pipelines.console.interrupts import SIGNALS
from pipelines.console.lines import STDERR
from pipelines.sample_images import sample_pixels
from tests.servers.dataflow import bucket, dataflow, storage
from tests.servers.gcs import SERVERS, GcsServer, gcs_server
from tests.servers.rest import rest
from transforms.storage.pace import Pace

__all__ = ["bucket", "dataflow", "rest", "storage"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The same examples in every run, however long each takes, so that no test fails now and then.
hypothesis.settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=100)
hypothesis.settings.load_profile("same")
# No test finds what another one, or the person who runs them, has left.
os.environ["EMBED_IMAGES_CACHE"] = ""
os.environ.pop("EMBED_IMAGES_REWRITES", None)
# Shells let what they start in the background ignore these, and tests of Ctrl-C and hang-ups would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


_HANDLERS = {number: signal.getsignal(number) for number in SIGNALS}


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """A run that has ended, also in a fixture, leaves signals ignored, and what is started later would inherit that."""
    _restore_signals()
    yield
    _restore_signals()


@pytest.fixture(autouse=True)
def _stderr_as_it_was() -> Iterator[None]:
    """A command that has run in this process leaves its name, its run and the form of its messages."""
    before = dict(vars(STDERR))
    yield
    vars(STDERR).update(before)


def _restore_signals() -> None:
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)


DATA_VARIABLE = "EMBED_IMAGES_TEST_DATA"


@pytest.fixture(scope="session")
def test_data() -> pathlib.Path:
    """The folder of real photos, hostile files and ImageNet weights; see CONTRIBUTING.md."""
    folder = os.environ.get(DATA_VARIABLE, "")
    if not os.path.isdir(folder):
        pytest.skip(f"{DATA_VARIABLE} names no folder")
    return pathlib.Path(folder)


def exhaustive(*values: Any) -> list[Any]:
    """Return parameters of a test that only the exhaustive run takes."""
    return [pytest.param(*(v if isinstance(v, tuple) else (v,)), marks=pytest.mark.exhaustive) for v in values]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the server that Go has to build first, for over a minute, to the exhaustive run."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "running_strict_gcs" in names or "fake-gcs-server" in item.nodeid.partition("[")[2]:
            item.add_marker(pytest.mark.exhaustive)


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what was imported: going through it again and again took a tenth of the time."""
    gc.freeze()


def sample_image(seed: int, width: int = 320, height: int = 240) -> PIL.Image.Image:
    """Return a smooth picture, a different one for each seed."""
    return PIL.Image.fromarray(sample_pixels(seed, width, height, grain=0))


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder of 10 JPEGs in two subfolders."""
    folder = tmp_path / "photos"
    for i in range(10):
        path = folder / ("a" if i % 2 else "b") / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_image(i, 320 + 16 * i, 240 + 8 * i).save(path, quality=92)
    return folder


Handler = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], str]]:
    """Start servers on loopback: a function that answers GET -> 'http://127.0.0.1:PORT'."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(handler: Handler, host: str = "127.0.0.1") -> str:
        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                handler(self)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer((host, 0), Answer)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://{host}:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session", params=SERVERS)
def running_gcs(request: pytest.FixtureRequest) -> Iterator[GcsServer]:
    """Each server of Cloud Storage's protocol, once for all tests."""
    with gcs_server(request.param, request.config.cache.mkdir("fake-gcs-server")) as server:
        yield server


@pytest.fixture
def gcs(running_gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    """A new bucket of each server in turn, found by STORAGE_EMULATOR_HOST."""
    return prepared(running_gcs, monkeypatch)


@pytest.fixture(scope="session")
def running_strict_gcs(request: pytest.FixtureRequest) -> Iterator[GcsServer]:
    """The server that checks preconditions and takes any name, once for all tests."""
    if "fake-gcs-server" not in SERVERS:
        pytest.skip("fake-gcs-server is built by Go, which is not here")
    with gcs_server("fake-gcs-server", request.config.cache.mkdir("fake-gcs-server")) as server:
        yield server


@pytest.fixture
def strict_gcs(running_strict_gcs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    """A new bucket of the server that checks preconditions and takes any name."""
    return prepared(running_strict_gcs, monkeypatch)


def prepared(server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    """Let Beam and this project use a new bucket of a server."""
    # Beam looks for credentials for over a minute before it does without.
    monkeypatch.setattr("apache_beam.internal.gcp.auth._Credentials._credentials_init", True)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    # The refusals of one test would slow down the next.
    monkeypatch.setattr("transforms.storage.gcs_download.PACE", Pace())
    server.faults.clear()
    server.retry_after, server.page, server.requester_pays = "", 0, False
    server.create_bucket(f"bucket-{uuid.uuid4().hex}")
    server.log.clear()
    return server


def answer(request: http.server.BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    """Send a whole answer; underscores in header names stand for dashes."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
