"""Machines and GPUs: what is known of them agrees with itself."""

import pytest

from pipelines.launch.dataflow.machines import check_gpu_fits, find_machine, hourly_price
from pipelines.options.gpus import GPUS
from transforms.core.errors import UsageError


@pytest.mark.parametrize(
    ("name", "vcpus", "memory", "gpus"),
    [
        ("n1-standard-8", 8, 30, 0),
        ("n2-highmem-4", 4, 32, 0),
        ("e2-highcpu-16", 16, 16, 0),
        ("n2-custom-6-20480", 6, 20, 0),
        ("g2-standard-8", 8, 32, 1),
        ("g2-standard-48", 48, 192, 4),
        ("a2-highgpu-2g", 24, 170, 2),
        ("a2-ultragpu-1g", 12, 170, 1),
        ("a3-highgpu-8g", 208, 1872, 8),
        ("n2d-highcpu-8", 8, 8, 0),
        ("c2d-highcpu-4", 4, 8, 0),
        ("c3-highcpu-8", 8, 16, 0),
        ("c3d-highcpu-8", 8, 16, 0),
        ("c4-highcpu-8", 8, 16, 0),
        ("c4-standard-8", 8, 30, 0),
        ("n4-highcpu-8", 8, 16, 0),
        ("n4-highmem-8", 8, 64, 0),
    ],
)
def test_a_machine_is_known_by_its_name(name: str, vcpus: int, memory: float, gpus: int) -> None:
    found = find_machine(name)
    assert found is not None
    assert (found.vcpus, found.memory_gb, found.gpus) == (vcpus, memory, gpus)


@pytest.mark.parametrize("name", ["m3-ultramem-32", "n2-standard", "x9-standard-4", "n1-ultramem-4", "large", ""])
def test_a_machine_of_another_family_is_not_guessed(name: str) -> None:
    assert find_machine(name) is None


@pytest.mark.parametrize(("gpu", "count"), [(gpu, count) for gpu, facts in GPUS.items() for count in facts.machines])
def test_the_machine_that_is_chosen_for_a_gpu_fits_it_and_has_a_price(gpu: str, count: int) -> None:
    name = GPUS[gpu].machines[count]
    check_gpu_fits(gpu, count, name)
    machine = find_machine(name)
    assert machine is not None
    assert hourly_price(machine, 100, gpu, count) > hourly_price(machine, 100, "", 0) > 0


@pytest.mark.parametrize(
    ("gpu", "count", "machine", "says"),
    [
        ("nvidia-l4", 1, "n1-standard-8", "has no GPU, not 1 nvidia-l4; leave it out, or give g2-standard-8"),
        ("nvidia-l4", 1, "g2-standard-24", "has 2 nvidia-l4, not 1 nvidia-l4"),
        ("nvidia-l4", 3, "g2-standard-24", "--gpu_count 3 is none that a machine has of nvidia-l4; give one of 1, 2"),
        ("nvidia-tesla-t4", 1, "g2-standard-8", "goes with n1 machines only"),
        ("nvidia-tesla-v100", 1, "n1-standard-16", "has more than 12 vCPUs with 1 nvidia-tesla-v100"),
        ("nvidia-a100-80gb", 1, "a2-highgpu-1g", "has 1 nvidia-tesla-a100, not 1 nvidia-a100-80gb"),
        ("nvidia-l4", 1, "m3-ultramem-32", "is not known to have nvidia-l4"),
    ],
)
def test_a_machine_that_cannot_have_the_gpu_is_refused_with_one_that_can(
    gpu: str, count: int, machine: str, says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check_gpu_fits(gpu, count, machine)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
