"""What a portable runner needs before a job can begin: a job server that answers, or what one is started from.

Beam itself would wait for minutes, or download; here each lack is one line, within seconds.
"""

import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from apache_beam.options import pipeline_options as beam_options
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.flink_runner import MAGIC_HOST_NAMES, FlinkJarJobServer
from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.runners.portability.spark_runner import LOCAL_MASTER_PATTERN, SparkJarJobServer
from apache_beam.utils.subprocess_server import JavaJarServer

from pipelines.launch.beam_pipeline import BeamOptions
from transforms.core.errors import UsageError, one_line

CONNECT_SECONDS = 5.0
"""How long a server may take to answer, in seconds."""
_PORTS = {"https": 443, "http": 80}
GUIDE = "docs/operate/runners.md says how to get it"


@dataclasses.dataclass(frozen=True)
class Services:
    """What was found of the services that a job needs.

    Attributes:
      is_loopback: whether the workers are threads of this process.
      flags: names of the flags that the job server takes; None if it is not asked, since it is yet to be started.
    """

    is_loopback: bool
    flags: frozenset[str] | None


def find_services(runner: str, beam_args: Sequence[str]) -> Services:
    """Check that what a runner needs is there.

    Args:
      runner: name of its class, with its module if it is not Beam's.
      beam_args: flags for Beam.

    Raises:
      UsageError: something is not there; the message says what to do.
    """
    options = BeamOptions(list(beam_args))
    portable = options.view_as(beam_options.PortableOptions)
    environment = (portable.environment_type or "").upper()
    is_loopback = environment == "LOOPBACK" or (not environment and _LOOPS_BACK.get(runner, _never)(options))
    if portable.job_endpoint == "embed":
        return Services(is_loopback, frozenset())
    if portable.job_endpoint:
        return Services(is_loopback, _flags_of_server(portable.job_endpoint))
    if runner in _STARTS:
        _STARTS[runner](options)
        if environment == "EXTERNAL" and _LOOPS_BACK[runner](options):
            _check_pool(portable)
        return Services(is_loopback, None)
    if runner == "PortableRunner":
        raise UsageError("--runner PortableRunner needs the --job_endpoint HOST:PORT of a job server")
    return Services(is_loopback, frozenset())


def _never(_: Any) -> bool:
    return False


_LOOPS_BACK: Mapping[str, Callable[[Any], bool]] = {
    "PrismRunner": lambda options: True,
    "FlinkRunner": lambda options: options.view_as(beam_options.FlinkRunnerOptions).flink_master in MAGIC_HOST_NAMES,
    "SparkRunner": lambda options: bool(
        re.match(LOCAL_MASTER_PATTERN, options.view_as(beam_options.SparkRunnerOptions).spark_master_url)
    ),
}
"""Whether a runner that is started works on this machine, and not on a cluster: its workers are threads of the command
unless --environment_type says otherwise, as in Beam."""


def _flags_of_server(endpoint: str) -> frozenset[str]:
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
        except grpc.FutureTimeoutError as e:
            raise UsageError(
                f"--job_endpoint {endpoint}: no job server answers there; start it, or give another endpoint"
            ) from e
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            found = service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=CONNECT_SECONDS
            )
        except grpc.RpcError as e:
            raise UsageError(
                f"--job_endpoint {endpoint}: what answers there is no job server of Beam: {one_line(e)}"
            ) from e
    return frozenset(f"--{option.name}" for option in found.options)


def _check_pool(portable: Any) -> None:
    """Look for the worker pool: the runner, which will ask it for workers, is to be started on this machine."""
    found = re.fullmatch(r"(?:\w+://)?(.+):(\d+)", _address_of_pool(portable))
    if not found:
        raise UsageError("--environment_type EXTERNAL needs the --environment_config HOST:PORT of a worker pool")
    if not _answers(found[1], int(found[2])):
        start = f"python -m apache_beam.runners.worker.worker_pool_main --service_port {found[2]}"
        raise UsageError(f"--environment_config {found[0]}: no worker pool answers there; start one: {start}")


def _address_of_pool(portable: Any) -> str:
    """Return the address of a worker pool, in each of the ways in which Beam takes it; '' if there is none."""
    config = portable.environment_config or portable.lookup_environment_option("external_service_address") or ""
    with contextlib.suppress(ValueError):
        if isinstance(parsed := json.loads(config), dict):
            return str(parsed.get("url", ""))
    return str(config)


def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), CONNECT_SECONDS):
        return True
    return False


def _check_prism(options: Any) -> None:
    location = options.view_as(beam_options.PrismRunnerOptions).prism_location
    server = PrismJobServer(options)
    try:
        source = server.path_to_binary()
    except ValueError as e:
        raise UsageError(f"--prism_location {location}: there is no such file; {GUIDE}") from e
    cached = os.path.join(server.BIN_CACHE, os.path.basename(source))
    _check_source("Prism", "--prism_location", source, cached)


def _check_jar(
    name: str, flag: str, server: Callable[[Any], Any], is_submitted: Callable[[Any], bool]
) -> Callable[[Any], None]:
    def check(options: Any) -> None:
        if is_submitted(options):
            # The jar is given to a cluster: no server is started here, and the cluster says which jar.
            return
        own = options.view_as(beam_options.JobServerOptions)
        if not shutil.which(own.job_server_java_launcher):
            raise UsageError(
                f"the job server of {name} runs in Java, and there is no {own.job_server_java_launcher} here; install "
                "it, or give the --job_endpoint of a server that runs elsewhere"
            )
        try:
            source = server(options).path_to_jar()
        except ValueError as e:
            raise UsageError(f"{flag}: there is no such file; {GUIDE}") from e
        cached = os.path.join(own.jar_cache_dir or JavaJarServer.JAR_CACHE, os.path.basename(source))
        _check_source(f"the job server of {name}", flag, source, cached)

    return check


def _check_source(what: str, flag: str, source: str, cached: str) -> None:
    """Refuse a program that is neither here nor can be downloaded."""
    if os.path.exists(source) or os.path.exists(cached):
        return
    found = urllib.parse.urlsplit(source)
    # Other schemes are those of Beam's filesystems; and behind a proxy only the proxy may answer.
    if found.scheme not in _PORTS or found.scheme in urllib.request.getproxies():
        return
    if found.hostname and not _answers(found.hostname, found.port or _PORTS[found.scheme]):
        raise UsageError(
            f"{what} is not here, and {found.hostname}, where Beam would get it, does not answer; give {flag}; {GUIDE}"
        )


def _flink_takes_jar(options: Any) -> bool:
    flink = options.view_as(beam_options.FlinkRunnerOptions)
    return bool(flink.flink_submit_uber_jar) and flink.flink_master not in MAGIC_HOST_NAMES


def _spark_takes_jar(options: Any) -> bool:
    return bool(options.view_as(beam_options.SparkRunnerOptions).spark_submit_uber_jar)


_STARTS: Mapping[str, Callable[[Any], None]] = {
    "PrismRunner": _check_prism,
    "FlinkRunner": _check_jar("Flink", "--flink_job_server_jar", FlinkJarJobServer, _flink_takes_jar),
    "SparkRunner": _check_jar("Spark", "--spark_job_server_jar", SparkJarJobServer, _spark_takes_jar),
}
"""Runners that start a job server of their own unless they are given one."""
