"""The same collection on every runner that can be had here: Prism, by itself and as a server, with pools of workers."""

import contextlib
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

from tests.conftest import sample_image

pytestmark = pytest.mark.exhaustive

ROOT = pathlib.Path(__file__).parents[2]
LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
POOL = "apache_beam.runners.worker.worker_pool_main"
OFTEN = (
    "import sys; from transforms.write import shards; shards.PART_SECONDS = -1.0; "
    "from pipelines.command import main; sys.exit(main(sys.argv[1:]))"
)
"""The command, with a part after each image where its own process embeds."""


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


@pytest.fixture
def server(prism: pathlib.Path) -> Iterator[list[str]]:
    """The flags of Prism as a server."""
    port = free_port()
    with served(port, prism, f"--job_port={port}", "--serve_http=false") as address:
        yield ["--runner=PortableRunner", f"--job_endpoint={address}"]


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


@pytest.mark.parametrize("way", ["loopback", "a server and a pool"])
def test_a_first_run_and_an_update_are_the_local_ones(
    way: str, prism: pathlib.Path, server: list[str], tmp_path: pathlib.Path
) -> None:
    with contextlib.ExitStack() as stack:
        flags = ["--runner=PrismRunner", f"--prism_location={prism}"]
        if way != "loopback":
            flags = [*server, *stack.enter_context(pool())]
        for numbers in (range(8), range(5, 12)):
            images = images_in(tmp_path / "images", numbers)
            assert run("--input", images, "--output", tmp_path / "local") == ""
            said = run("--input", images, "--output", tmp_path / "there", *flags)
            assert "Traceback" not in said
            assert_same(tmp_path / "local", tmp_path / "there")


def test_a_killed_worker_is_named_and_the_next_update_goes_on_from_its_parts(
    server: list[str], tmp_path: pathlib.Path
) -> None:
    """Its images are large, so that it is at work when it dies."""
    images = tmp_path / "images"
    images.mkdir()
    for i in range(60):
        sample_image(i, 1600, 1200).save(images / f"{i}.jpg")
    flags = ["--input", images, "--output", tmp_path / "out", *LIGHT, "--existing=update", "--fetch_threads=1"]
    often = tmp_path / "often"
    often.mkdir()
    (often / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'SdkHarness' in ' '.join(sys.orig_argv):\n"
        "    from transforms.write import shards\n"
        "    shards.PART_SECONDS = -1.0\n"
    )
    with pool("env", f"PYTHONPATH={often}:{ROOT}") as workers:
        command = [sys.executable, "-m", "pipelines.command", *map(str, flags), *server, *workers]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        until = time.monotonic() + 120
        while len(list(tmp_path.glob("out/.run-*/*.parquet"))) < 10:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.05)
        running = psutil.process_iter(["cmdline"])
        killed = [one for one in running if "SdkHarness" in " ".join(one.info["cmdline"] or [])]
        assert killed
        for worker in killed:
            worker.kill()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("embed-images: ")]
    assert "what it finished is kept, and the same command goes on from there" in line
    run(*flags)
    vectors, manifest = found(tmp_path / "out")
    assert len(vectors) == manifest["counts"]["embedded"] == 60
    assert manifest["changes"]["taken_over"] >= 10


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
