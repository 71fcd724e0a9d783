"""A submitted job in a process that shares nothing with the submitter but the bucket: Beam's own pool of workers.

Its environment has the project from the source that the job staged, and from nowhere else; the packages that the
project needs are those of the tests.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sysconfig
import venv
from collections.abc import Iterator

import grpc
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2, endpoints_pb2

from pipelines.command import main
from tests.pipelines.launch.dataflow.test_submission import LIGHT, staged
from tests.servers.dataflow import DataflowServer
from transforms.collection.manifest import read_manifest
from transforms.core.counters import counted

POOL = "apache_beam.runners.worker.worker_pool_main"


@pytest.fixture
def own_environment(tmp_path: pathlib.Path) -> pathlib.Path:
    """A virtual environment that finds the tests' packages after its own."""
    folder = tmp_path / "worker"
    venv.create(folder, with_pip=False, symlinks=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "packages.pth").write_text(sysconfig.get_paths()["purelib"])
    # Beam would look for credentials for minutes where there are none.
    (own / "sitecustomize.py").write_text(
        "from apache_beam.internal.gcp import auth\nauth._Credentials._credentials_init = True\n"
    )
    return folder


def install(source: bytes, folder: pathlib.Path, environment: dict[str, str]) -> None:
    """Install a packed source as a worker does, except for what it depends on."""
    (folder / "workflow.tar.gz").write_bytes(source)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "-I"]
    subprocess.run([*pip, folder / "workflow.tar.gz"], check=True, cwd=folder, env=environment)


@pytest.fixture
def outside(own_environment: pathlib.Path) -> dict[str, str]:
    """The environment variables of a process that finds the worker's Python, and nothing of the submitter's."""
    kept = {name: os.environ[name] for name in ("STORAGE_EMULATOR_HOST", "PATH", "HOME")}
    return {**kept, "PATH": f"{own_environment / 'bin'}:{kept['PATH']}", "EMBED_IMAGES_CACHE": ""}


@pytest.fixture
def pool(outside: dict[str, str], tmp_path: pathlib.Path) -> Iterator[str]:
    """The address of a pool of workers, started in a folder of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with open(tmp_path / "pool.log", "w") as log:
        process = subprocess.Popen(
            ["python", "-m", POOL, f"--service_port={port}"],
            cwd=folder,
            env=outside,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            grpc.channel_ready_future(grpc.insecure_channel(f"localhost:{port}")).result(60)
            yield f"localhost:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


@pytest.mark.exhaustive
def test_a_worker_with_nothing_but_the_staged_source_embeds(
    dataflow: DataflowServer,
    photos: pathlib.Path,
    own_environment: pathlib.Path,
    outside: dict[str, str],
    pool: str,
    tmp_path: pathlib.Path,
) -> None:
    output = f"gs://{dataflow.bucket}/out"
    job = ["--input", dataflow.upload(photos), "--output", output, *LIGHT, *dataflow.flags]
    assert main([*job, "--no_wait"]) == 0
    install(staged(dataflow, "workflow.tar.gz"), own_environment, outside)
    found = subprocess.run(
        ["python", "-c", "import transforms; print(transforms.__file__)"],
        check=True,
        cwd=tmp_path,
        env=outside,
        capture_output=True,
        text=True,
    )
    assert found.stdout.startswith(str(own_environment))
    shutil.rmtree(photos)
    endpoint = endpoints_pb2.ApiServiceDescriptor(url=pool)
    payload = beam_runner_api_pb2.ExternalPayload(endpoint=endpoint).SerializeToString()
    counters = counted(dataflow.run_staged(common_urns.environments.EXTERNAL.urn, payload))
    assert counters["images-embedded"] == 10
    manifest = read_manifest(output)
    assert manifest is not None
    assert manifest["counts"] == {"inputs": 10, "embedded": 10, "failed": 0, "skipped": 0, "duplicates": 0}
