"""Estimates of what a Dataflow job needs and costs, from stated assumptions."""

import dataclasses

from pipelines.launch.dataflow.job import DataflowJob
from pipelines.launch.dataflow.machines import PRICE_SOURCE, find_machine, hourly_price
from pipelines.options.gpus import GPUS
from pipelines.plan.plan import Plan
from pipelines.plan.run_stats import Speed
from transforms.backbones.own.header import WEIGHT_COPIES
from transforms.core.errors import UsageError
from transforms.embed.batch_sizes import CPU_BATCH, GPU_BATCH, default_batch_size

RUNTIME_GB = 1.5
"""Memory of a worker process with Beam and TensorFlow, without a model."""

GPU_RUNTIME_GB = 1.0
"""Memory of a GPU that CUDA and its libraries take."""

ACTIVATION_CHANNELS = 64
"""Floats per input pixel that an image keeps alive in a forward pass, as in the widest layers of VGG."""

PROCESS_RATE = 1500.0
"""Maximum images per second of a process, however fast its devices: 1,450 were measured, of 64 x 48 px."""

START_HOURS = {"image": 0.15, "packages": 0.2}
"""Hours until a worker begins to work, with an image to pull or packages to install."""

GPU_CORES = {
    "nvidia-l4": 80.0,
    "nvidia-tesla-t4": 40.0,
    "nvidia-tesla-p4": 25.0,
    "nvidia-tesla-p100": 45.0,
    "nvidia-tesla-v100": 80.0,
    "nvidia-tesla-a100": 150.0,
    "nvidia-a100-80gb": 160.0,
    "nvidia-h100-80gb": 300.0,
}
"""Speed of a GPU in processor cores: guessed from peak float32 rates, never measured here."""


ALTERNATIVES = (("n2-standard-4", ""), ("n2-highcpu-8", ""), ("g2-standard-8", "nvidia-l4"))
"""Machines whose prices are compared, with their GPU."""

READ_DOLLARS = 0.4e-6
"""Price of reading an object, a class B operation on standard storage: https://cloud.google.com/storage/pricing."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """Memory in GB: of all processes of a worker, and of its GPU."""

    host_gb: float
    gpu_gb: float


def memory_needs(plan: Plan, job: DataflowJob) -> Needs:
    """Estimate the memory of a worker."""
    gpu = bool(job.gpu)
    weights = sum(4 * target.backbone.num_weights for target in plan.targets) / 1e9
    pixels = sum(3 * height * width for height, width in plan.image_sizes)
    batch = max(default_batch_size(t.backbone.size, GPU_BATCH if gpu else CPU_BATCH) for t in plan.targets)
    # Each bundle holds six batches of pixels: one computed and one next, each with a stacked copy, one gathered and one
    # decoded. A forward pass keeps the activations of 32 images alive.
    ahead = 6 * batch * pixels * job.bundles / 1e9
    # Each bundle fetches two images a thread ahead, beside the one that is awaited.
    encoded = (2 * plan.settings.fetch_threads + 1) * plan.settings.max_image_bytes * job.bundles / 1e9
    forward = 32 * ACTIVATION_CHANNELS * 4 * max(t.backbone.size[0] * t.backbone.size[1] for t in plan.targets) / 1e9
    host = job.processes * (RUNTIME_GB + WEIGHT_COPIES * weights + encoded + ahead + (0 if gpu else forward))
    return Needs(host, GPU_RUNTIME_GB + weights + forward if gpu else 0.0)


def check_memory(plan: Plan, job: DataflowJob) -> Needs:
    """Refuse a job whose model, by this estimate, does not fit its machine or its GPU.

    Raises:
      UsageError: it does not fit.
    """
    needs = memory_needs(plan, job)
    if job.machine and needs.host_gb > job.machine.memory_gb:
        raise UsageError(
            f"{job.machine.name} has {job.machine.memory_gb:.0f} GB, {job.processes} processes with the model need "
            f"up to {needs.host_gb:.0f} GB; give a larger --machine_type, or a smaller --max_image_bytes"
        )
    if job.gpu and needs.gpu_gb > GPUS[job.gpu].memory_gb:
        raise UsageError(
            f"--gpu {job.gpu} has {GPUS[job.gpu].memory_gb} GB, the model needs about {needs.gpu_gb:.0f} GB; "
            "give a larger GPU or a smaller --image_size"
        )
    return needs


def worker_rate(job: DataflowJob, speed: Speed) -> float:
    """Estimate a worker's images per second, counting a vCPU as a core of this machine; 0.0 if unknown."""
    if job.machine is None:
        return 0.0
    if job.gpu:
        gpus = job.gpu_count * GPU_CORES[job.gpu]
        rate = min(job.machine.vcpus / max(speed.decode, 1e-6), gpus / max(speed.forward, 1e-6))
    else:
        rate = job.machine.vcpus / max(speed.decode + speed.forward, 1e-6)
    return min(rate, PROCESS_RATE * job.processes)


def dollars_an_hour(job: DataflowJob) -> float:
    """Return the price of all workers that a job may have, in US dollars; 0.0 if the machine is not known."""
    return job.workers * _price(job) + _price_beside(job) if job.machine else 0.0


def _price(job: DataflowJob) -> float:
    if not job.machine:
        return 0.0
    return hourly_price(job.machine, job.disk_gb, job.gpu, job.gpu_count, flexible=job.is_flexible)


def _price_beside(job: DataflowJob) -> float:
    """Return the price of one machine of the steps without a GPU."""
    return hourly_price(job.other_machine, job.disk_gb, "", 0) if job.other_machine else 0.0


def machine_line(job: DataflowJob, speed: Speed) -> str:
    """Say what a million images cost on each of a few machines, the cheapest first, without the start."""
    found = []
    for name, gpu in ALTERNATIVES:
        one = dataclasses.replace(job, machine=find_machine(name), gpu=gpu, gpu_count=1, processes=1)
        dollars = 1e6 * _price(one) / 3600 / worker_rate(one, speed)
        found.append((dollars, f"{dollars:.2f} on {name}{f' with {gpu}' if gpu else ''}"))
    return f"  machines  a million images cost about {', '.join(words for _, words in sorted(found))} US dollars"


def cost_lines(job: DataflowJob, images: int, speed: Speed, workers: int) -> list[str]:
    """Return how long the job takes, what it costs, and what that rests on, line by line."""
    rate = worker_rate(job, speed)
    if job.machine is None or not rate:
        return ["  cost      unknown: the machine type is not known here"]
    start = START_HOURS["image" if job.image else "packages"]
    hours = start + images / rate / workers / 3600
    price, other, beside = _price(job), job.other_machine, _price_beside(job)
    with_other = f", and {beside:.3f} for one {other.name} beside them" if other else ""
    on = f"a {job.gpu} as {GPU_CORES[job.gpu]:.0f} cores (a guess)" if job.gpu else "a vCPU as a core of this machine"
    reduced = ", processors and memory reduced by FlexRS" if job.is_flexible else ""
    return [
        f"  speed     about {rate:,.0f} img/s a worker: decoding {1000 * speed.decode:.1f} ms and embedding "
        f"{1000 * speed.forward:.1f} ms of a core an image, measured here; {on}; fetching keeps up",
        f"  cost      about {hours:.1f} h on {workers} workers, {hours * (workers * price + beside):,.2f} US dollars: "
        f"{start} h to start, {price:.3f} an hour and worker{with_other}{reduced}",
        machine_line(job, speed),
        f"  requests  {images * READ_DOLLARS:,.2f} US dollars, if all images are read from Cloud Storage",
        f"  prices    assumed, without storage, network and shuffle: {PRICE_SOURCE}",
    ]
