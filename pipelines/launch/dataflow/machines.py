"""The worker machines that Dataflow rents out, and which of them a GPU fits: what can be known without asking Google.

Importing this imports neither Beam nor TensorFlow.
"""

import dataclasses
import re

from transforms.core.errors import UsageError

GPU_SOURCE = "https://cloud.google.com/dataflow/docs/gpu/gpu-support and https://cloud.google.com/compute/docs/gpus"
PRICE_SOURCE = "apache-beam 2.77.0, apache_beam/testing/load_tests/dataflow_cost_consts.py; of 2026-11"
"""Dataflow's list prices for batch work in us-central1, in US dollars, as Beam's own cost benchmarks have them."""

VCPU_HOUR, MEMORY_GB_HOUR, DISK_GB_HOUR = 0.056, 0.003557, 0.000054


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A type of GPU.

    Attributes:
      memory_gb: of one.
      machines: the machine that is rented for so many of them.
      max_vcpus: that an n1 machine may have for so many of them; empty for those that are part of other machines.
      hour: its price in US dollars.
    """

    memory_gb: int
    machines: dict[int, str]
    max_vcpus: dict[int, int]
    hour: float


_N1 = {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32"}
GPUS = {
    "nvidia-l4": Gpu(
        24, {1: "g2-standard-8", 2: "g2-standard-24", 4: "g2-standard-48", 8: "g2-standard-96"}, {}, 0.672
    ),
    "nvidia-tesla-t4": Gpu(16, _N1, {1: 48, 2: 48, 4: 96}, 0.42),
    "nvidia-tesla-p4": Gpu(8, _N1, {1: 24, 2: 48, 4: 96}, 0.72),
    "nvidia-tesla-p100": Gpu(16, _N1, {1: 16, 2: 32, 4: 64}, 1.752),
    "nvidia-tesla-v100": Gpu(16, {**_N1, 8: "n1-standard-64"}, {1: 12, 2: 24, 4: 48, 8: 96}, 2.976),
    "nvidia-tesla-a100": Gpu(40, {n: f"a2-highgpu-{n}g" for n in (1, 2, 4, 8)}, {}, 3.72),
    "nvidia-a100-80gb": Gpu(80, {n: f"a2-ultragpu-{n}g" for n in (1, 2, 4, 8)}, {}, 4.7137),
}
"""By the name that Dataflow knows; `nvidia-tesla-a100` is the one of 40 GB. See GPU_SOURCE and PRICE_SOURCE."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine type: its processors, its memory and the GPUs that are part of it."""

    name: str
    vcpus: int
    memory_gb: float
    gpu: str = ""
    gpus: int = 0


_GB_A_VCPU = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
_N1_GB_A_VCPU = {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9}
_L4S = {24: 2, 48: 4, 96: 8}


def find_machine(name: str) -> Machine | None:
    """Return what is known of a machine type, None where it is of a family that is not known here."""
    if custom := re.fullmatch(r"(?:\w+-)?custom-(\d+)-(\d+)(?:-ext)?", name):
        return Machine(name, int(custom[1]), int(custom[2]) / 1024)
    if a2 := re.fullmatch(r"a2-(highgpu|ultragpu)-(\d+)g", name):
        count, ultra = int(a2[2]), a2[1] == "ultragpu"
        return Machine(name, 12 * count, (170 if ultra else 85) * count, _a100(ultra), count)
    predefined = re.fullmatch(r"([a-z]\w*)-(standard|highmem|highcpu)-(\d+)", name)
    if predefined is None:
        return None
    family, kind, vcpus = predefined[1], predefined[2], int(predefined[3])
    if family == "g2":
        return Machine(name, vcpus, 4.0 * vcpus, "nvidia-l4", _L4S.get(vcpus, 1))
    return Machine(name, vcpus, vcpus * (_N1_GB_A_VCPU if family == "n1" else _GB_A_VCPU)[kind])


def _a100(ultra: bool) -> str:
    return "nvidia-a100-80gb" if ultra else "nvidia-tesla-a100"


def check_gpu_fits(gpu: str, count: int, machine: str) -> None:
    """Refuse a machine type that cannot have so many GPUs of a type.

    Raises:
      UsageError: the message names a machine that can.
    """
    facts, found = GPUS[gpu], find_machine(machine)
    if count not in facts.machines:
        counts = ", ".join(map(str, facts.machines))
        raise UsageError(f"--gpu_count {count} is none that a machine has of {gpu}; give one of {counts}")
    right = facts.machines[count]
    if found is None:
        raise UsageError(f"--machine_type {machine} is not known to have {gpu}; leave it out, or give {right}")
    if facts.max_vcpus:
        if not machine.startswith(("n1-", "custom-")):
            raise UsageError(f"--gpu {gpu} goes with n1 machines only, --machine_type is {machine}; give {right}")
        if found.vcpus > facts.max_vcpus[count]:
            most = f"{facts.max_vcpus[count]} vCPUs with {count} {gpu}"
            raise UsageError(f"--machine_type {machine} has more than {most}; give {right} or more --gpu_count")
    elif (found.gpu, found.gpus) != (gpu, count):
        has = f"{found.gpus} {found.gpu}" if found.gpus else "no GPU"
        raise UsageError(f"--machine_type {machine} has {has}, not {count} {gpu}; leave it out, or give {right}")


def hourly_price(machine: Machine, disk_gb: int, gpu: str, count: int) -> float:
    """Return what a worker costs an hour, in US dollars, by the prices of PRICE_SOURCE."""
    gpus = GPUS[gpu].hour * count if gpu else 0.0
    return VCPU_HOUR * machine.vcpus + MEMORY_GB_HOUR * machine.memory_gb + DISK_GB_HOUR * disk_gb + gpus
