"""From our flags and Beam's to a whole Dataflow job; what contradicts itself is refused before anything is sent.

The layout, one for all jobs:

- A GPU is asked for by right fitting: an `accelerator` resource hint on the embedding step, and on no other. Dataflow
  fuses steps whose hints can be merged, and runs them where the union of the hints holds. So fetching and decoding stay
  in one stage with the embedding and no pixel crosses a shuffle, while listing the uris and dividing the output into
  shards need no GPU. The other way, the service option `worker_accelerator`, gives all workers of a job a GPU; Google
  says not to combine the two. See https://cloud.google.com/dataflow/docs/guides/right-fitting.
- One SDK process a machine (`no_use_multiple_sdk_containers`): the model is in the memory of the machine, and of its
  GPU, once. The process has threads of its own for fetching and decoding, and works on few bundles at a time. Several
  GPUs take turns, a batch each.
- The machine is that of `machines` for the GPU, named in the hint, and DEFAULT_MACHINE where there is none;
  `--machine_type` names another, next to `--gpu` for the GPU's workers alone.
- A GPU's worker needs an image with CUDA, `--sdk_container_image`, and a disk with room for it, GPU_DISK_GB. Without an
  image the workers have Beam's own, and install this project from the source that `setup.py` packs.
"""

import dataclasses
import pathlib
import re
import sys
from argparse import Namespace

import apache_beam
from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from pipelines.launch.dataflow.machines import GPUS, Machine, check_gpu_fits, find_machine
from pipelines.plan.plan import Plan
from transforms.core.errors import UsageError
from transforms.read.uris import scheme_of

PROJECT = "beam-image-embeddings"
ONE_PROCESS, MANY_PROCESSES = "no_use_multiple_sdk_containers", "use_multiple_sdk_containers"
DEFAULT_MACHINE = "n2-standard-4"
BUNDLES_A_PROCESS = 4
GPU_DISK_GB, SERVICE_DISK_GB = 100, 25
"""Of a GPU's worker where no size is asked for; and what Dataflow gives a batch worker by itself."""


@dataclasses.dataclass(frozen=True)
class DataflowJob:
    """A job that nothing is known to stand against.

    Attributes:
      options: all of Beam's.
      machine: of the workers that embed; None for a family that is not known here.
      processes: that embed on a machine, each with a copy of the model.
    """

    options: PipelineOptions
    machine: Machine | None
    processes: int
    gpu: str
    gpu_count: int

    @property
    def image(self) -> str:
        """The workers' container image, '' for Beam's own."""
        return self.options.view_as(WorkerOptions).sdk_container_image or ""

    @property
    def disk_gb(self) -> int:
        """Of a worker."""
        return self.options.view_as(WorkerOptions).disk_size_gb or SERVICE_DISK_GB

    @property
    def workers(self) -> int:
        """How many there may be, 1 where nobody said."""
        worker = self.options.view_as(WorkerOptions)
        return worker.max_num_workers or worker.num_workers or 1

    @property
    def bundles(self) -> int:
        """How many a process works on at a time, as many as ours where Dataflow decides."""
        return self.options.view_as(DebugOptions).number_of_worker_harness_threads or BUNDLES_A_PROCESS

    @property
    def hints(self) -> dict[str, str]:
        """The resource hints of the embedding step."""
        if not self.gpu:
            return {}
        machine = self.machine.name if self.machine else ""
        return {"accelerator": f"type:{self.gpu};count:{self.gpu_count};machine_type:{machine};install-nvidia-driver"}

    def named(self, plan: Plan) -> "DataflowJob":
        """Return the job with a name and labels that say what it makes; those that were given stay."""
        google = self.options.view_as(GoogleCloudOptions)
        backbones = [target.backbone.name.lower() for target in plan.targets]
        if not google.job_name:
            google.job_name = f"embed-images-{'-'.join(backbones)[:60].rstrip('-')}-{plan.run_id.lower()}"
        labels = {
            "project": PROJECT,
            "backbone": "_".join(backbones),
            "spec": "_".join(target.spec.fingerprint for target in plan.targets),
        }
        google.labels = [*(f"{key}={value[:63]}" for key, value in labels.items()), *(google.labels or [])]
        return self


def is_remote(beam_args: list[str]) -> bool:
    """Whether the runner that Beam's flags name works elsewhere than in this process."""
    runner = PipelineOptions(beam_args).view_as(StandardOptions).runner
    return runner is not None and _runner(runner) not in ("direct", "fnapi", "bundlebaseddirect")


def dataflow_job(options: Namespace, beam_args: list[str]) -> DataflowJob | None:
    """Return the job that the flags describe, None where they name another runner.

    Raises:
      UsageError: a flag is missing, or does not go with another.
    """
    beam = PipelineOptions(beam_args)
    if _runner(beam.view_as(StandardOptions).runner or "") != "dataflow":
        for flag, given in (("gpu", options.gpu), ("gpu_count", options.gpu_count), ("no_wait", options.no_wait)):
            if given:
                instead = "; here --require_gpu makes sure of one" if flag == "gpu" else ""
                raise UsageError(f"--{flag} is for --runner=DataflowRunner{instead}")
        return None
    _check_google(beam)
    _check_paths(options)
    _check_gpu(options, beam)
    _check_image(beam)
    count = options.gpu_count or 1
    worker, debug, setup = beam.view_as(WorkerOptions), beam.view_as(DebugOptions), beam.view_as(SetupOptions)
    machine = worker.machine_type or (GPUS[options.gpu].machines[count] if options.gpu else DEFAULT_MACHINE)
    if options.gpu:
        # In the hint instead: the other steps need no such machine.
        worker.machine_type = None
        worker.disk_size_gb = worker.disk_size_gb or GPU_DISK_GB
    else:
        worker.machine_type = machine
    found, many = find_machine(machine), MANY_PROCESSES in (debug.experiments or [])
    if not many:
        debug.add_experiment(ONE_PROCESS)
        debug.number_of_worker_harness_threads = debug.number_of_worker_harness_threads or max(
            BUNDLES_A_PROCESS, 2 * count
        )
    if options.engine == "openvino" and not worker.sdk_container_image:
        raise UsageError("--engine openvino on Dataflow needs an image that has it: add --sdk_container_image IMAGE")
    if not worker.sdk_container_image and not setup.setup_file and not setup.extra_packages:
        setup.setup_file = source_setup_file(pathlib.Path(__file__).parents[3])
    return DataflowJob(
        beam, found, found.vcpus if many and found else 1, options.gpu or "", count if options.gpu else 0
    )


def source_setup_file(folder: pathlib.Path) -> str:
    """Return the setup.py of the project's source in a folder.

    Raises:
      UsageError: there is none, as where the project is installed from a wheel.
    """
    declared = folder / "pyproject.toml"
    if not (folder / "setup.py").is_file() or not declared.is_file() or PROJECT not in declared.read_text("utf-8"):
        raise UsageError(
            "the workers need this project, which is installed here without its source; give --sdk_container_image "
            "with an image that has it, or --setup_file with the setup.py of a checkout"
        )
    return str(folder / "setup.py")


def container_versions(image: str) -> tuple[str, str]:
    """Return the versions of Python and of Beam that an image's name tells, '' for each that it does not."""
    name = image.rpartition("/")[2]
    python = re.search(r"python(\d\.\d+)", name)
    beam = re.search(r"(?:beam[^:]*:|beam-?)v?(\d+\.\d+\.\d+)", name)
    return python[1] if python else "", beam[1] if beam else ""


def _runner(name: str) -> str:
    return name.lower().removesuffix("runner")


def _check_google(beam: PipelineOptions) -> None:
    try:
        from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401
    except ImportError as e:
        raise UsageError("--runner=DataflowRunner needs: pip install 'beam-image-embeddings[gcp]'") from e
    google = beam.view_as(GoogleCloudOptions)
    for flag, example in (("project", "my-project"), ("region", "europe-west4"), ("temp_location", "gs://bucket/tmp")):
        if not getattr(google, flag):
            raise UsageError(f"--runner=DataflowRunner needs --{flag}, e.g. --{flag}={example}")
    for flag in ("temp_location", "staging_location"):
        path = getattr(google, flag)
        if path and scheme_of(path) != "gs":
            raise UsageError(f"--{flag} must be a folder in Cloud Storage, gs://..., is {path}")


def _check_paths(options: Namespace) -> None:
    weights = options.weights if options.weights not in ("imagenet", "random") else ""
    for flag, path in (*(("input", path) for path in options.input), ("output", options.output), ("weights", weights)):
        if path and scheme_of(path) in ("", "file"):
            raise UsageError(f"--{flag} {path} is on this machine, where no Dataflow worker sees it; copy it to gs://")


def _check_gpu(options: Namespace, beam: PipelineOptions) -> None:
    worker, google, debug = beam.view_as(WorkerOptions), beam.view_as(GoogleCloudOptions), beam.view_as(DebugOptions)
    services, experiments = google.dataflow_service_options or [], debug.experiments or []
    accelerated = any(option.startswith("worker_accelerator") for option in services + experiments)
    if not options.gpu:
        if options.gpu_count:
            raise UsageError("--gpu_count says how many of which --gpu; add --gpu TYPE, e.g. --gpu nvidia-l4")
        if options.require_gpu and not accelerated:
            raise UsageError("--require_gpu on Dataflow needs workers with one; add --gpu TYPE, e.g. --gpu nvidia-l4")
        return
    hints = beam.get_all_options(drop_default=True).get("resource_hints") or []
    for given, flag in (
        (accelerated, "a worker_accelerator of --dataflow_service_options"),
        (any("accelerator" in hint for hint in hints), "an accelerator of --resource_hint"),
        (bool(google.flexrs_goal), "--flexrs_goal, which has no GPUs"),
        (MANY_PROCESSES in experiments, f"--experiments={MANY_PROCESSES}, as many models as vCPUs in one GPU"),
        (options.engine == "openvino", "--engine openvino, which runs on processors"),
    ):
        if given:
            raise UsageError(f"--gpu {options.gpu} does not go with {flag}; leave one of them out")
    count = options.gpu_count or 1
    check_gpu_fits(options.gpu, count, worker.machine_type or GPUS[options.gpu].machines.get(count, ""))
    if not worker.sdk_container_image:
        raise UsageError("--gpu needs an image with CUDA and this project: add --sdk_container_image IMAGE")


def own_versions() -> tuple[str, str]:
    """Return the versions of Python and of Beam of this process, which workers must share."""
    return f"{sys.version_info.major}.{sys.version_info.minor}", apache_beam.__version__


def _check_image(beam: PipelineOptions) -> None:
    image = beam.view_as(WorkerOptions).sdk_container_image
    if not image:
        return
    for what, own, theirs in zip(("Python", "Beam"), own_versions(), container_versions(image), strict=True):
        if theirs and own != theirs:
            raise UsageError(
                f"--sdk_container_image {image} has {what} {theirs}, here is {own}; they must be the same: "
                "start this command with that version, or name another image"
            )
