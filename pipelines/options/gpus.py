"""The types of GPU that --gpu names, and what is known about each."""

import dataclasses

SOURCE = "https://cloud.google.com/dataflow/docs/gpu/gpu-support and https://cloud.google.com/compute/docs/gpus"
CAPABILITY_SOURCE = "https://developer.nvidia.com/cuda-gpus and https://developer.nvidia.com/cuda-legacy-gpus"


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A type of GPU.

    Attributes:
      memory_gb: memory of one GPU, in GB.
      machines: the machine type to rent, by number of GPUs.
      max_vcpus: maximum vCPUs of an n1 machine, by number of GPUs; empty for GPUs that are part of other machines.
      hour: price of an hour in US dollars, see `pipelines.launch.dataflow.machines.PRICE_SOURCE`.
      compute_capability: CUDA's (major, minor), which libraries must have code for; see CAPABILITY_SOURCE.
    """

    memory_gb: int
    machines: dict[int, str]
    max_vcpus: dict[int, int]
    hour: float
    compute_capability: tuple[int, int]


_N1 = {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32"}
_L4 = {1: "g2-standard-8", 2: "g2-standard-24", 4: "g2-standard-48", 8: "g2-standard-96"}
GPUS = {
    "nvidia-l4": Gpu(24, _L4, {}, 0.672, (8, 9)),
    "nvidia-tesla-t4": Gpu(16, _N1, {1: 48, 2: 48, 4: 96}, 0.42, (7, 5)),
    "nvidia-tesla-p4": Gpu(8, _N1, {1: 24, 2: 48, 4: 96}, 0.72, (6, 1)),
    "nvidia-tesla-p100": Gpu(16, _N1, {1: 16, 2: 32, 4: 64}, 1.752, (6, 0)),
    "nvidia-tesla-v100": Gpu(16, {**_N1, 8: "n1-standard-64"}, {1: 12, 2: 24, 4: 48, 8: 96}, 2.976, (7, 0)),
    "nvidia-tesla-a100": Gpu(40, {n: f"a2-highgpu-{n}g" for n in (1, 2, 4, 8)}, {}, 3.72, (8, 0)),
    "nvidia-a100-80gb": Gpu(80, {n: f"a2-ultragpu-{n}g" for n in (1, 2, 4, 8)}, {}, 4.7137, (8, 0)),
    # Beam has no price of it; this one is from memory of Compute Engine's list.
    "nvidia-h100-80gb": Gpu(80, {n: f"a3-highgpu-{n}g" for n in (1, 2, 4, 8)}, {}, 9.8, (9, 0)),
}
"""GPUs by Dataflow's names; `nvidia-tesla-a100` is the A100 of 40 GB; see SOURCE."""
