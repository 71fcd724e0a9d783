"""The machines that Dataflow offers, and which GPUs fit them: what is known without asking Google."""

import dataclasses
import re

from pipelines.options.gpus import GPUS
from transforms.core.errors import UsageError

PRICE_SOURCE = "apache-beam 2.77.0, apache_beam/testing/load_tests/dataflow_cost_consts.py; of 2026-11"
"""Dataflow's list prices for batch work in us-central1, in US dollars, as in Beam's own cost benchmarks."""

VCPU_HOUR, MEMORY_GB_HOUR, DISK_GB_HOUR = 0.056, 0.003557, 0.000054
FLEXRS = 0.6
"""What FlexRS leaves of the price of processors and memory, from memory of https://cloud.google.com/dataflow/pricing."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine type: its processors, its memory and the GPUs that are part of it."""

    name: str
    vcpus: int
    memory_gb: float
    gpu: str = ""
    gpus: int = 0


_FIRST = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
_LATER = {**_FIRST, "highcpu": 2.0}
GB_A_VCPU = {
    "n1": {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9},
    **dict.fromkeys(("e2", "n2", "n2d", "c2", "t2d"), _FIRST),
    **dict.fromkeys(("c2d", "c3", "c3d", "n4", "n4d"), _LATER),
    "c4": {"standard": 3.75, "highmem": 7.75, "highcpu": 2.0},
}
"""GB by family and kind: https://cloud.google.com/compute/docs/general-purpose-machines and the pages beside it."""

ARM = ("t2a", "c4a", "n4a")
"""Families of Arm processors: https://cloud.google.com/compute/docs/instances/arm-on-compute."""

_L4S = {24: 2, 48: 4, 96: 8}


def find_machine(name: str) -> Machine | None:
    """Return what is known about a machine type; None for a family that is not known here."""
    if custom := re.fullmatch(r"(?:\w+-)?custom-(\d+)-(\d+)(?:-ext)?", name):
        return Machine(name, int(custom[1]), int(custom[2]) / 1024)
    if a2 := re.fullmatch(r"a2-(highgpu|ultragpu)-(\d+)g", name):
        count, ultra = int(a2[2]), a2[1] == "ultragpu"
        return Machine(name, 12 * count, (170 if ultra else 85) * count, _a100(ultra), count)
    if a3 := re.fullmatch(r"a3-highgpu-([1248])g", name):
        return Machine(name, 26 * int(a3[1]), 234 * int(a3[1]), "nvidia-h100-80gb", int(a3[1]))
    predefined = re.fullmatch(r"([a-z]\w*)-(standard|highmem|highcpu)-(\d+)", name)
    if predefined is None:
        return None
    family, kind, vcpus = predefined[1], predefined[2], int(predefined[3])
    if family == "g2":
        return Machine(name, vcpus, 4.0 * vcpus, "nvidia-l4", _L4S.get(vcpus, 1))
    memory = GB_A_VCPU.get(family, {}).get(kind)
    return Machine(name, vcpus, memory * vcpus) if memory else None


def _a100(ultra: bool) -> str:
    return "nvidia-a100-80gb" if ultra else "nvidia-tesla-a100"


def check_processor(machine: str) -> None:
    """Refuse a machine type whose processor runs other programs than the images and wheels of this project.

    Raises:
      UsageError: it is an Arm machine.
    """
    if machine.partition("-")[0] in ARM:
        raise UsageError(f"--machine_type {machine} has Arm processors, the image is for x86; give n2-standard-4")


def check_gpu_fits(gpu: str, count: int, machine: str) -> None:
    """Refuse a machine type that cannot have `count` GPUs of this type.

    Raises:
      UsageError: it cannot; the message names a machine that can.
    """
    wanted, found = GPUS[gpu], find_machine(machine)
    if count not in wanted.machines:
        counts = ", ".join(map(str, wanted.machines))
        raise UsageError(f"--gpu_count {count} is none that a machine has of {gpu}; give one of {counts}")
    right = wanted.machines[count]
    if found is None:
        raise UsageError(f"--machine_type {machine} is not known to have {gpu}; leave it out, or give {right}")
    if wanted.max_vcpus:
        if not machine.startswith(("n1-", "custom-")):
            raise UsageError(f"--gpu {gpu} goes with n1 machines only, --machine_type is {machine}; give {right}")
        if found.vcpus > wanted.max_vcpus[count]:
            most = f"{wanted.max_vcpus[count]} vCPUs with {count} {gpu}"
            raise UsageError(f"--machine_type {machine} has more than {most}; give {right} or more --gpu_count")
    elif (found.gpu, found.gpus) != (gpu, count):
        has = f"{found.gpus} {found.gpu}" if found.gpus else "no GPU"
        raise UsageError(f"--machine_type {machine} has {has}, not {count} {gpu}; leave it out, or give {right}")


def hourly_price(machine: Machine, disk_gb: int, gpu: str, count: int, *, flexible: bool = False) -> float:
    """Return the price of a worker per hour, in US dollars, see PRICE_SOURCE.

    Args:
      machine: the worker.
      disk_gb: size of its disk, in GB.
      gpu: type of its GPUs, '' for none.
      count: number of these.
      flexible: whether the job is of FlexRS.
    """
    gpus = GPUS[gpu].hour * count if gpu else 0.0
    computing = VCPU_HOUR * machine.vcpus + MEMORY_GB_HOUR * machine.memory_gb
    return computing * (FLEXRS if flexible else 1.0) + DISK_GB_HOUR * disk_gb + gpus
