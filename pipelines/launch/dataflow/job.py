"""From our flags and Beam's to a complete Dataflow job; contradictions are refused before anything is sent.

One layout for all jobs:

- A GPU is requested by right fitting: an `accelerator` resource hint on only the embedding step. Dataflow fuses steps
  whose hints can be merged, and runs them where the union of the hints holds. So fetching and decoding stay in one
  stage with the embedding, and no pixel crosses a shuffle, while listing uris and dividing the output into shards need
  no GPU. The other way, the service option `worker_accelerator`, gives every worker of a job a GPU; Google says not to
  combine the two. See https://cloud.google.com/dataflow/docs/guides/right-fitting.
- One SDK process per machine (`no_use_multiple_sdk_containers`), so that the model is in the memory of the machine, and
  of its GPU, once. The process has its own threads for fetching and decoding, and works on few bundles at a time.
  Several GPUs compute a batch each.
- The machine is the one that `machines` knows for the GPU, named in the hint, or DEFAULT_MACHINE without a GPU;
  `--machine_type` names another, with `--gpu` only for the workers with a GPU. The steps without a GPU run on
  DEFAULT_MACHINE: Dataflow's own, n1-standard-1, has 3.75 GB, of which Beam and TensorFlow take 1.5, and a listing 0.3
  kB for each object of a folder, 3 GB for ten million.
- A GPU's worker needs an image with CUDA, `--sdk_container_image`, and a disk with room for it, GPU_DISK_GB; one with
  another image has IMAGE_DISK_GB. Google advises 50 GB or more where a container is large. Without an image the workers
  have Beam's own, and install this project from the source that `setup.py` packs.
"""

import dataclasses
import pathlib
import re

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    WorkerOptions,
)

from pipelines.launch.dataflow.contradictions import (
    MANY_PROCESSES,
    check_google,
    check_image,
    check_machine,
    check_paths,
)
from pipelines.launch.dataflow.machines import Machine, find_machine
from pipelines.options.gpus import GPUS
from pipelines.options.settings import Settings
from pipelines.plan.plan import Plan
from transforms.core.errors import UsageError

PROJECT = "beam-image-embeddings"
ONE_PROCESS = "no_use_multiple_sdk_containers"
DEFAULT_MACHINE = "n2-standard-4"
BUNDLES_A_PROCESS = 4
"""Bundles that a process works on at a time."""
GPU_DISK_GB, IMAGE_DISK_GB, SERVICE_DISK_GB = 100, 50, 25
"""Default disk of a worker with a GPU, and with another image; and the one that Dataflow gives by default."""


@dataclasses.dataclass(frozen=True)
class DataflowJob:
    """A job whose flags passed every check.

    Attributes:
      options: all of Beam's options.
      machine: machine of the workers that embed; None for a family that is not known here.
      processes: number of processes that embed on one machine, each with a copy of the model.
      gpu: type of the GPU, '' for none.
      gpu_count: number of GPUs per worker.
      gpu_driver: version of the driver, '' for Dataflow's choice.
    """

    options: PipelineOptions
    machine: Machine | None
    processes: int
    gpu: str
    gpu_count: int
    gpu_driver: str = ""

    @property
    def image(self) -> str:
        """The container image of the workers, '' for Beam's own."""
        return self.options.view_as(WorkerOptions).sdk_container_image or ""

    @property
    def other_machine(self) -> Machine | None:
        """The machine of the steps without a GPU; None if the workers that embed do all."""
        return find_machine(DEFAULT_MACHINE) if self.gpu else None

    @property
    def disk_gb(self) -> int:
        """Size of a worker's disk, in GB."""
        return self.options.view_as(WorkerOptions).disk_size_gb or SERVICE_DISK_GB

    @property
    def is_flexible(self) -> bool:
        """Whether the job may wait for cheap machines, by FlexRS."""
        return bool(self.options.view_as(GoogleCloudOptions).flexrs_goal == "COST_OPTIMIZED")

    @property
    def workers(self) -> int:
        """Maximum number of workers; 1 if no flag says it."""
        worker = self.options.view_as(WorkerOptions)
        return worker.max_num_workers or worker.num_workers or 1

    @property
    def bundles(self) -> int:
        """Bundles that a process works on at a time; BUNDLES_A_PROCESS where Dataflow decides."""
        return self.options.view_as(DebugOptions).number_of_worker_harness_threads or BUNDLES_A_PROCESS

    @property
    def hints(self) -> dict[str, str]:
        """The resource hints of the embedding step."""
        if not self.gpu:
            return {}
        machine = self.machine.name if self.machine else ""
        driver = "install-nvidia-driver" + (f":{self.gpu_driver}" if self.gpu_driver else "")
        return {"accelerator": f"type:{self.gpu};count:{self.gpu_count};machine_type:{machine};{driver}"}

    def named(self, plan: Plan) -> "DataflowJob":
        """Return the job with a name and labels that say what it makes; those that flags give stay."""
        google = self.options.view_as(GoogleCloudOptions)
        # Names of files may have what names of jobs and labels may not.
        backbones = [re.sub(r"[^a-z0-9_-]", "-", target.backbone.name.lower()) for target in plan.targets]
        if not google.job_name:
            google.job_name = f"embed-images-{'-'.join(backbones)[:60].rstrip('-')}-{plan.run_id.lower()}"
        labels = {
            "project": PROJECT,
            "backbone": "_".join(backbones),
            "spec": "_".join(target.spec.fingerprint for target in plan.targets),
        }
        google.labels = [*(f"{key}={value[:63]}" for key, value in labels.items()), *(google.labels or [])]
        return self


def dataflow_job(settings: Settings, beam_args: list[str]) -> DataflowJob:
    """Return the job that the flags describe.

    Raises:
      UsageError: a flag is missing, or contradicts another.
    """
    beam = PipelineOptions(beam_args)
    check_google(beam)
    check_paths(settings)
    check_machine(settings, beam)
    check_image(beam)
    count = settings.gpu_count or 1
    worker, debug = beam.view_as(WorkerOptions), beam.view_as(DebugOptions)
    machine = worker.machine_type or (GPUS[settings.gpu].machines[count] if settings.gpu else DEFAULT_MACHINE)
    # The machine of a GPU is named in the hint: the other steps need no such machine.
    worker.machine_type = DEFAULT_MACHINE if settings.gpu else machine
    if worker.sdk_container_image:
        worker.disk_size_gb = worker.disk_size_gb or (GPU_DISK_GB if settings.gpu else IMAGE_DISK_GB)
    found, many = find_machine(machine), MANY_PROCESSES in (debug.experiments or [])
    if not many:
        debug.add_experiment(ONE_PROCESS)
        debug.number_of_worker_harness_threads = debug.number_of_worker_harness_threads or max(
            BUNDLES_A_PROCESS, 2 * count
        )
    for needs, what in (
        (settings.engine == "openvino", "--engine openvino"),
        (settings.model.endswith(".onnx"), "a --model of ONNX"),
    ):
        if needs and not worker.sdk_container_image:
            raise UsageError(f"{what} on Dataflow needs an image that has it: add --sdk_container_image IMAGE")
    ship_source(beam)
    processes = found.vcpus if many and found else 1
    return DataflowJob(
        beam, found, processes, settings.gpu or "", count if settings.gpu else 0, settings.gpu_driver or ""
    )


def ship_source(beam: PipelineOptions) -> None:
    """Let workers install this project from its source, unless flags say where else they have it from.

    Raises:
      UsageError: as `source_setup_file`.
    """
    setup = beam.view_as(SetupOptions)
    if not beam.view_as(WorkerOptions).sdk_container_image and not setup.setup_file and not setup.extra_packages:
        setup.setup_file = source_setup_file(pathlib.Path(__file__).parents[3])


def source_setup_file(folder: pathlib.Path) -> str:
    """Return the setup.py of the project's source in a folder.

    Raises:
      UsageError: there is none, because the project is installed from a wheel.
    """
    declared = folder / "pyproject.toml"
    if not (folder / "setup.py").is_file() or not declared.is_file() or PROJECT not in declared.read_text("utf-8"):
        raise UsageError(
            "the workers need this project, which is installed here without its source; give --sdk_container_image "
            "with an image that has it, or --setup_file with the setup.py of a checkout"
        )
    return str(folder / "setup.py")
