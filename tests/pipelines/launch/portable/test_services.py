"""What a portable runner lacks is one line within seconds, before any work."""

import concurrent.futures
import contextlib
import pathlib
import socket
import urllib.request
from collections.abc import Iterator

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.runners.runner import create_runner
from apache_beam.utils.subprocess_server import JavaJarServer

from pipelines.command import main
from pipelines.launch.portable import services
from pipelines.launch.portable.services import Services, find_services
from transforms.core.errors import UsageError


class JobService(beam_job_api_pb2_grpc.JobServiceServicer):
    """A job server that says which flags it takes, and no more."""

    def DescribePipelineOptions(  # noqa: N802
        self, request: object, context: object
    ) -> beam_job_api_pb2.DescribePipelineOptionsResponse:
        names = ("checkpointing_interval", "state_backend")
        found = [beam_job_api_pb2.PipelineOptionDescriptor(name=name) for name in names]
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=found)


@contextlib.contextmanager
def grpc_server(is_job_server: bool) -> Iterator[str]:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    if is_job_server:
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(JobService(), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address at which nothing answers, and little patience."""
    monkeypatch.setattr(services, "CONNECT_SECONDS", 0.3)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"localhost:{s.getsockname()[1]}"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """A machine that reaches nothing, and has nothing from before."""

    def refuse(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(PrismJobServer, "BIN_CACHE", str(tmp_path / "bin"))
    monkeypatch.setattr(JavaJarServer, "JAR_CACHE", str(tmp_path / "jars"))
    monkeypatch.setattr(urllib.request, "getproxies", dict)


def lack(runner: str, *flags: str) -> str:
    with pytest.raises(UsageError) as error:
        find_services(runner, [f"--runner={runner}", *flags])
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("runner", ["PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner"])
def test_an_endpoint_at_which_nothing_answers(runner: str, nobody: str) -> None:
    assert lack(runner, f"--job_endpoint={nobody}") == (
        f"--job_endpoint {nobody}: no job server answers there; start it, or give another endpoint"
    )


def test_an_endpoint_at_which_something_else_answers() -> None:
    with grpc_server(is_job_server=False) as endpoint:
        assert f"--job_endpoint {endpoint}: what answers there is no job server of Beam: " in lack(
            "PortableRunner", f"--job_endpoint={endpoint}"
        )


def test_a_job_server_is_asked_for_its_flags() -> None:
    with grpc_server(is_job_server=True) as endpoint:
        found = find_services("FlinkRunner", [f"--job_endpoint={endpoint}"])
    assert found == Services(is_loopback=True, flags=frozenset({"--checkpointing_interval", "--state_backend"}))


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--checkpointing_interval=1000", ""),
        ("--checkpoint_interval=1000", "unknown flag --checkpoint_interval"),
        ("--backbones=x", "unknown flag --backbones (did you mean '--backbone'?)"),
    ],
)
def test_the_command_takes_the_flags_of_its_job_server(
    flag: str, says: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--input", str(tmp_path / "none"), "--output", str(tmp_path / "out"), "--backbone", "MobileNet"]
    with grpc_server(is_job_server=True) as endpoint:
        assert main([*flags, "--runner=PortableRunner", f"--job_endpoint={endpoint}", flag]) == 2
    # What is wrong next, where the flag is fine.
    assert (says or "nothing matches --input") in capsys.readouterr().err


def test_a_runner_that_is_nothing_without_an_endpoint() -> None:
    assert lack("PortableRunner") == "--runner PortableRunner needs the --job_endpoint HOST:PORT of a job server"


def test_prism_where_it_cannot_be_had(offline: None, tmp_path: pathlib.Path) -> None:
    assert lack("PrismRunner") == (
        "Prism is not here, and github.com, where Beam would get it, does not answer; give --prism_location; "
        "docs/operate/runners.md says how to get it"
    )
    missing = tmp_path / "prism"
    assert lack("PrismRunner", f"--prism_location={missing}") == (
        f"--prism_location {missing}: there is no such file; docs/operate/runners.md says how to get it"
    )
    missing.write_bytes(b"a program")
    assert find_services("PrismRunner", [f"--prism_location={missing}"]) == Services(is_loopback=True, flags=None)


@pytest.mark.parametrize(("runner", "name"), [("FlinkRunner", "flink"), ("SparkRunner", "spark")])
def test_a_job_server_in_java_that_cannot_be_had(
    runner: str, name: str, offline: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = name.capitalize()
    assert f"the job server of {own} runs in Java, and there is no {tmp_path}/java here; install it" in lack(
        runner, f"--job_server_java_launcher={tmp_path}/java"
    )
    java = f"--job_server_java_launcher={tmp_path}/java"
    (tmp_path / "java").write_text("#!/bin/sh\n")
    (tmp_path / "java").chmod(0o755)
    assert f"the job server of {own} is not here, and repo.maven.apache.org, where Beam" in lack(runner, java)
    jar = tmp_path / "server.jar"
    assert lack(runner, java, f"--{name}_job_server_jar={jar}").startswith(
        f"--{name}_job_server_jar: there is no such file"
    )
    jar.write_bytes(b"PK")
    assert find_services(runner, [java, f"--{name}_job_server_jar={jar}"]).flags is None


def test_a_pool_that_a_server_on_this_machine_would_ask(nobody: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "prism").write_bytes(b"a program")
    prism = f"--prism_location={tmp_path / 'prism'}"
    assert lack("PrismRunner", prism, "--environment_type=EXTERNAL", f"--environment_config={nobody}") == (
        f"--environment_config {nobody}: no worker pool answers there; start one: "
        f"python -m apache_beam.runners.worker.worker_pool_main --service_port {nobody.partition(':')[2]}"
    )
    assert "needs the --environment_config HOST:PORT" in lack("PrismRunner", prism, "--environment_type=EXTERNAL")


@pytest.mark.parametrize(
    "flag",
    [
        "--environment_config={}",
        "--environment_config=http://{}",
        '--environment_config={{"url": "{}", "params": {{"a": "b"}}}}',
        "--environment_options=external_service_address={}",
    ],
)
def test_the_address_of_a_pool_is_read_in_each_way_in_which_beam_takes_it(flag: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "prism").write_bytes(b"a program")
    flags = [f"--prism_location={tmp_path / 'prism'}", "--environment_type=EXTERNAL"]
    with socket.socket() as pool:
        pool.bind(("127.0.0.1", 0))
        pool.listen()
        address = f"localhost:{pool.getsockname()[1]}"
        found = find_services("PrismRunner", [*flags, flag.format(address)])
    assert found == Services(is_loopback=False, flags=None)


@pytest.mark.parametrize(
    ("runner", "flags"),
    [
        ("FlinkRunner", ["--flink_master=flink:8081", "--flink_job_server_jar"]),
        ("SparkRunner", ["--spark_master_url=spark://there:7077", "--spark_job_server_jar"]),
    ],
)
def test_a_pool_beside_each_worker_of_a_cluster_is_not_looked_for_here(
    runner: str, flags: list[str], nobody: str, tmp_path: pathlib.Path
) -> None:
    jar = tmp_path / "server.jar"
    jar.write_bytes(b"PK")
    external = ["--environment_type=EXTERNAL", f"--environment_config={nobody}", "--job_server_java_launcher=sh"]
    assert find_services(runner, [*flags, str(jar), *external]) == Services(is_loopback=False, flags=None)


@pytest.mark.parametrize(
    ("runner", "flags"),
    [
        ("FlinkRunner", ["--flink_master=flink:8081", "--flink_submit_uber_jar"]),
        ("SparkRunner", ["--spark_master_url=spark://there:7077", "--spark_submit_uber_jar"]),
    ],
)
def test_a_cluster_that_takes_the_jar_itself_needs_no_java_here(runner: str, flags: list[str], offline: None) -> None:
    found = find_services(runner, [*flags, "--job_server_java_launcher=/none/java"])
    assert found == Services(is_loopback=False, flags=None)


def test_what_only_a_proxy_or_a_filesystem_of_beam_reaches_is_not_missed(
    offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = "--flink_job_server_jar={}://host/server.jar"
    java = "--job_server_java_launcher=sh"
    assert "host, where Beam would get it, does not answer" in lack("FlinkRunner", java, jar.format("http"))
    monkeypatch.setattr(urllib.request, "getproxies", lambda: {"http": "http://proxy:3128"})
    for scheme in ("http", "gs"):
        assert find_services("FlinkRunner", [java, jar.format(scheme)]).flags is None


def test_a_runner_of_somebodys_own_needs_nothing_that_is_known_here(offline: None) -> None:
    assert find_services("mine.FlinkRunner", []) == Services(is_loopback=False, flags=frozenset())


@pytest.mark.parametrize("runner", ["PortableRunner", "PrismRunner", "FlinkRunner", "SparkRunner"])
@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--environment_type=LOOPBACK"],
        ["--environment_type=PROCESS"],
        ["--flink_master=flink:8081"],
        ["--flink_master=[local]"],
        ["--spark_master_url=local[2]"],
        ["--spark_master_url=spark://there:7077"],
    ],
)
def test_workers_are_threads_of_the_command_where_beam_says_so(runner: str, flags: list[str]) -> None:
    options = PipelineOptions([*flags, "--environment_config={}"])
    with contextlib.suppress(Exception):
        # It decides first, and then may miss what the environment needs.
        create_runner(runner).default_environment(options)
    decided = options.view_as(PortableOptions).environment_type
    with grpc_server(is_job_server=True) as endpoint:
        found = find_services(runner, [*flags, f"--job_endpoint={endpoint}"])
    assert found.is_loopback == (decided == "LOOPBACK")
