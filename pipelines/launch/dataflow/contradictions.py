"""Flags that no Dataflow job can have together; each refusal is one line that says what to do."""

import re
import sys

import apache_beam
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, WorkerOptions

from pipelines.launch.dataflow.machines import check_gpu_fits, check_processor
from pipelines.options.gpus import GPUS
from pipelines.options.settings import Settings
from transforms.backbones.engines import ENGINES
from transforms.core.errors import UsageError
from transforms.storage.gcs import INSTALL
from transforms.storage.paths import scheme_of

MANY_PROCESSES = "use_multiple_sdk_containers"
"""The experiment that makes Dataflow start a process for each vCPU."""


def refuse_dataflow_flags(settings: Settings) -> None:
    """Refuse flags that only Dataflow understands, on another runner.

    Raises:
      UsageError: such a flag is given.
    """
    for flag in ("gpu", "gpu_count", "gpu_driver", "no_wait"):
        if getattr(settings, flag):
            instead = "; here --require_gpu makes sure of one" if flag == "gpu" else ""
            raise UsageError(f"--{flag} is for --runner=DataflowRunner{instead}")


def container_versions(image: str) -> tuple[str, str]:
    """Return the versions of Python and Beam in the name of an image, '' for each that it does not tell."""
    name = image.rpartition("/")[2]
    python = re.search(r"python(\d\.\d+)", name)
    beam = re.search(r"(?:beam[^:]*:|beam-?)v?(\d+\.\d+\.\d+)", name)
    return python[1] if python else "", beam[1] if beam else ""


def check_google(beam: PipelineOptions) -> None:
    """Refuse a job for which Google's client or one of its flags is missing; raise UsageError."""
    try:
        from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401
    except ImportError as e:
        raise UsageError(f"--runner=DataflowRunner needs: {INSTALL}") from e
    google = beam.view_as(GoogleCloudOptions)
    for flag, example in (("project", "my-project"), ("region", "europe-west4"), ("temp_location", "gs://bucket/tmp")):
        if not getattr(google, flag):
            raise UsageError(f"--runner=DataflowRunner needs --{flag}, e.g. --{flag}={example}")
    for flag in ("temp_location", "staging_location"):
        path = getattr(google, flag)
        if path and scheme_of(path) != "gs":
            raise UsageError(f"--{flag} must be a folder in Cloud Storage, gs://..., is {path}")


def check_paths(settings: Settings) -> None:
    """Refuse paths of this machine, which no worker sees; raise UsageError."""
    inputs = [("input", path) for path in settings.input]
    for flag, path in (
        *inputs,
        ("output", settings.output),
        ("model" if settings.model else "weights", settings.own_weights),
    ):
        if path and scheme_of(path) in ("", "file"):
            raise UsageError(f"--{flag} {path} is on this machine, where no Dataflow worker sees it; copy it to gs://")


def check_machine(settings: Settings, beam: PipelineOptions) -> None:
    """Refuse a machine that runs no image of ours, or a GPU that contradicts another flag; raise UsageError."""
    worker, google, debug = beam.view_as(WorkerOptions), beam.view_as(GoogleCloudOptions), beam.view_as(DebugOptions)
    services, experiments = google.dataflow_service_options or [], debug.experiments or []
    check_processor(worker.machine_type or "")
    accelerated = any(option.startswith("worker_accelerator") for option in services + experiments)
    engine = ENGINES.get(settings.engine)
    if not settings.gpu:
        if engine and "CPU" not in engine.runs_on and not accelerated:
            raise UsageError(f"--engine {settings.engine} runs on GPUs; add --gpu TYPE, e.g. --gpu nvidia-l4")
        if settings.gpu_count or settings.gpu_driver:
            flag = "gpu_count" if settings.gpu_count else "gpu_driver"
            raise UsageError(f"--{flag} is about a --gpu; add --gpu TYPE, e.g. --gpu nvidia-l4")
        if settings.require_gpu and not accelerated:
            raise UsageError("--require_gpu on Dataflow needs workers with one; add --gpu TYPE, e.g. --gpu nvidia-l4")
        return
    hints = beam.get_all_options(drop_default=True).get("resource_hints") or []
    for given, flag in (
        (accelerated, "a worker_accelerator of --dataflow_service_options"),
        (any("accelerator" in hint for hint in hints), "an accelerator of --resource_hint"),
        (bool(google.flexrs_goal), "--flexrs_goal, which has no GPUs"),
        ("enable_prime" in services + experiments, "enable_prime, which chooses machines by itself"),
        (MANY_PROCESSES in experiments, f"--experiments={MANY_PROCESSES}, as many models as vCPUs in one GPU"),
        (engine and "GPU" not in engine.runs_on, f"--engine {settings.engine}, which runs on processors"),
    ):
        if given:
            raise UsageError(f"--gpu {settings.gpu} does not go with {flag}; leave one of them out")
    count = settings.gpu_count or 1
    check_gpu_fits(settings.gpu, count, worker.machine_type or GPUS[settings.gpu].machines.get(count, ""))
    if not worker.sdk_container_image:
        raise UsageError("--gpu needs an image with CUDA and this project: add --sdk_container_image IMAGE")


def own_versions() -> tuple[str, str]:
    """Return the versions of Python and Beam of this process, which workers must share."""
    return f"{sys.version_info.major}.{sys.version_info.minor}", apache_beam.__version__


def check_image(beam: PipelineOptions) -> None:
    """Raise UsageError if the name of the image has other versions than this process."""
    image = beam.view_as(WorkerOptions).sdk_container_image
    if not image:
        return
    for what, own, theirs in zip(("Python", "Beam"), own_versions(), container_versions(image), strict=True):
        if theirs and own != theirs:
            raise UsageError(
                f"--sdk_container_image {image} has {what} {theirs}, here is {own}; they must be the same: "
                "start this command with that version, or name another image"
            )
