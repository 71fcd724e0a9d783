"""The same collection on every runner that can be had here: Prism and Beam's job service, with pools of workers; killed
workers, interrupts, and bundles that run more than once.
"""

import collections
import contextlib
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.command import main
from tests.conftest import sample_image

pytestmark = pytest.mark.exhaustive

ROOT = pathlib.Path(__file__).parents[2]
LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
POOL = "apache_beam.runners.worker.worker_pool_main"
SERVICE = "apache_beam.runners.portability.local_job_service_main"
SERVERS = ["Prism", "job service"]
HARNESSES = ("SdkHarness", "sdk_worker_main", "pipelines.local_worker")
"""What tells the workers of a pool, and those of a local run of several processes, by their command lines."""
OFTEN = (
    "import sys; from transforms.write import shards; shards.PART_SECONDS = -1.0; "
    "from pipelines.console import progress; progress.PLAIN_EVERY = float('inf'); "
    "from pipelines.command import main; sys.exit(main(sys.argv[1:]))"
)
"""The command, with a part after each image where its own process embeds, and silent however long it takes."""


@pytest.fixture(scope="session")
def prism(request: pytest.FixtureRequest) -> pathlib.Path:
    """Prism, built once."""
    if not shutil.which("go"):
        pytest.skip("Prism is built by Go, which is not here")
    command = [ROOT / ".ci" / "get_prism", request.config.cache.mkdir("prism")]
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    built = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return pathlib.Path(built.stdout.strip())


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def served(port: int, *command: Any, **options: Any) -> Iterator[str]:
    """Run a server of gRPC, and all that it starts, while the block runs."""
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        list(map(str, command)),
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,
    )
    try:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
        yield f"localhost:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


@contextlib.contextmanager
def pool(*before: str) -> Iterator[list[str]]:
    """Serve workers in processes of their own; yield the flags that lead to them."""
    port = free_port()
    with served(port, *before, sys.executable, "-m", POOL, f"--service_port={port}") as address:
        yield ["--environment_type=EXTERNAL", f"--environment_config={address}"]


@contextlib.contextmanager
def serving(name: str, request: pytest.FixtureRequest, staging: pathlib.Path) -> Iterator[list[str]]:
    """Run a job server; yield the flags that lead to it."""
    port = free_port()
    command: list[Any] = [sys.executable, "-m", SERVICE, f"--port={port}", f"--staging_dir={staging}"]
    if name == "Prism":
        command = [request.getfixturevalue("prism"), f"--job_port={port}", "--serve_http=false"]
    with served(port, *command) as address:
        yield ["--runner=PortableRunner", f"--job_endpoint={address}"]


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[list[str]]:
    """The flags of a job server, Prism unless the test names another."""
    with serving(getattr(request, "param", "Prism"), request, tmp_path / "staging") as flags:
        yield flags


def images_in(folder: pathlib.Path, numbers: range) -> pathlib.Path:
    folder.mkdir(exist_ok=True)
    for i in numbers:
        sample_image(i, 80, 60).save(folder / f"{i}.jpg")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def run(*flags: Any, code: int = 0) -> str:
    """Run the command to its end, in a process of its own; return its stderr."""
    command = [sys.executable, "-c", OFTEN, *map(str, flags), *LIGHT, "--existing=update"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert ended.returncode == code, ended.stderr
    return ended.stderr


def found(output: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    table = pq.read_table(output / "parquet")
    vectors = dict(zip(table["uri"].to_pylist(), map(np.asarray, table["embedding"].to_pylist()), strict=True))
    assert len(vectors) == table.num_rows
    return vectors, json.loads((output / "manifest.json").read_text())


def assert_same(here: pathlib.Path, there: pathlib.Path) -> None:
    """Check that two collections have the same rows, bit for bit, and the same accounts of their last run."""
    (vectors, manifest), (others, other) = found(here), found(there)
    assert vectors.keys() == others.keys()
    for uri, vector in vectors.items():
        np.testing.assert_array_equal(vector, others[uri])
    for key in ("counts", "changes", "failures", "embedding_spec_fingerprint"):
        assert manifest[key] == other[key], key


def test_prism_with_its_workers_in_this_process_gives_what_a_local_run_does(
    prism: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert_a_first_run_and_an_update_are_the_local_ones(tmp_path, "--runner=PrismRunner", f"--prism_location={prism}")


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_job_server_with_a_pool_gives_what_a_local_run_does(server: list[str], tmp_path: pathlib.Path) -> None:
    with pool() as workers:
        assert_a_first_run_and_an_update_are_the_local_ones(tmp_path, *server, *workers)


def assert_a_first_run_and_an_update_are_the_local_ones(folder: pathlib.Path, *flags: str) -> None:
    for numbers in (range(8), range(5, 12)):
        images = images_in(folder / "images", numbers)
        assert run("--input", images, "--output", folder / "local") == ""
        assert run("--input", images, "--output", folder / "there", *flags) == ""
        assert_same(folder / "local", folder / "there")


@contextlib.contextmanager
def at_work(folder: pathlib.Path, *flags: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a run that writes a part after each image, and yield it once there are ten parts."""
    images = folder / "images"
    images.mkdir()
    for i in range(60):
        # Large, so that the workers are still at it.
        sample_image(i, 1600, 1200).save(images / f"{i}.jpg")
    command = [sys.executable, "-m", "pipelines.command", *map(str, flags), "--fetch_threads=1"]
    environment = {**os.environ, "PYTHONPATH": f"{often(folder)}:{ROOT}"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        until = time.monotonic() + 120
        while len(list(folder.glob("out/.run-*/*.parquet"))) < 10:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield process


@contextlib.contextmanager
def pool_at_work(folder: pathlib.Path, *flags: Any) -> Iterator[subprocess.Popen[str]]:
    """As `at_work`, with the workers of a pool."""
    with pool("env", f"PYTHONPATH={often(folder)}:{ROOT}") as workers, at_work(folder, *flags, *workers) as process:
        yield process


def update_of(folder: pathlib.Path) -> list[Any]:
    """The flags that bring `out` in step with `images`."""
    return ["--input", folder / "images", "--output", folder / "out", *LIGHT, "--existing=update"]


def often(folder: pathlib.Path) -> pathlib.Path:
    """A folder for PYTHONPATH with which workers write a part after each image."""
    made = folder / "often"
    made.mkdir(exist_ok=True)
    (made / "sitecustomize.py").write_text(
        "import sys\n"
        f"if any(name in ' '.join(sys.orig_argv) for name in {HARNESSES}):\n"
        "    from transforms.write import shards\n"
        "    shards.PART_SECONDS = -1.0\n"
    )
    return made


def worker_processes() -> list[psutil.Process]:
    """The processes of Python that this one has started to work for a pool, or for a run of several processes."""
    # No others: the tests of another process have workers, too.
    ours = set(psutil.Process().children(recursive=True))
    lines = {one: one.info["cmdline"] or [""] for one in psutil.process_iter(["cmdline"]) if one in ours}
    return [
        one
        for one, line in lines.items()
        if "python" in pathlib.Path(line[0]).name and any(name in " ".join(line) for name in HARNESSES)
    ]


def assert_an_update_goes_on(folder: pathlib.Path, *flags: Any) -> None:
    run(*flags)
    vectors, manifest = found(folder / "out")
    assert len(vectors) == manifest["counts"]["embedded"] == 60
    assert manifest["changes"]["taken_over"] >= 10


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_killed_worker_is_named_and_the_next_update_goes_on_from_its_parts(
    server: list[str], tmp_path: pathlib.Path
) -> None:
    flags = update_of(tmp_path)
    with pool_at_work(tmp_path, *flags, *server) as process:
        killed = worker_processes()
        assert killed
        for worker in killed:
            worker.kill()
        _, said = process.communicate(timeout=120)
    assert_killed(process.returncode, said)
    assert_an_update_goes_on(tmp_path, *flags)


def test_one_killed_worker_of_three_ends_the_run_and_the_next_update_goes_on(tmp_path: pathlib.Path) -> None:
    flags = update_of(tmp_path)
    three = ["--direct_running_mode=multi_processing", "--direct_num_workers=3"]
    with at_work(tmp_path, *flags, *three) as process:
        workers = worker_processes()
        assert len(workers) == 3
        workers[1].kill()
        _, said = process.communicate(timeout=120)
    assert_killed(process.returncode, said)
    assert "a worker process was killed (exit code -9)" in said
    assert_an_update_goes_on(tmp_path, *flags)


def assert_killed(code: int | None, said: str) -> None:
    assert code == 1, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("embed-images: ")]
    assert "what it finished is kept, and the same command goes on from there" in line


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_an_interrupted_job_with_a_pool_is_cancelled_and_the_next_update_goes_on(
    server: list[str], tmp_path: pathlib.Path
) -> None:
    flags = update_of(tmp_path)
    with pool_at_work(tmp_path, *flags, *server) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert not (tmp_path / "out" / "manifest.json").exists()
    assert_an_update_goes_on(tmp_path, *flags)


@pytest.mark.parametrize("several", [False, True], ids=["one process", "grouped"])
def test_bundles_that_run_three_times_give_the_same_collection(
    several: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a runner tries a bundle again: what its first runs wrote is nobody's."""
    flags = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"] if several else []
    repeated = functools.partial(FnApiRunner, bundle_repeat=2)
    for numbers in (range(8), range(5, 12)):
        images = images_in(tmp_path / "images", numbers)
        for name, runner in (("once", FnApiRunner), ("repeated", repeated)):
            monkeypatch.setattr("pipelines.launch.local.LocalRunner", runner)
            given = ["--input", images, "--output", tmp_path / name, *LIGHT, "--existing=update", *flags]
            assert main([*map(str, given)]) == 0
        assert_same(tmp_path / "once", tmp_path / "repeated")
        assert files_in(tmp_path / "once") == files_in(tmp_path / "repeated")


def files_in(output: pathlib.Path) -> list[tuple[str, int]]:
    """The kinds of files below a folder, each with its number."""
    kinds = collections.Counter(path.relative_to(output).parts[0] for path in output.rglob("*") if path.is_file())
    return sorted(kinds.items())


def test_a_worker_that_shares_no_folder_is_found_out_before_the_work(server: list[str], tmp_path: pathlib.Path) -> None:
    """A mount namespace of its own stands for another machine."""
    images = images_in(tmp_path / "images", range(3))
    output = tmp_path / "out"
    output.mkdir()
    alone = f'mount -t tmpfs tmpfs "{output}" && exec "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", alone, "sh", "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace needs root")
    with pool("unshare", "-m", "sh", "-c", alone, "sh") as workers:
        said = run("--input", images, "--output", output, *server, *workers, code=1)
    assert f"does not share {output}/.run-" in said
    assert "give a folder that all workers see under this name, or one in a bucket" in said
    assert not list(output.iterdir())
