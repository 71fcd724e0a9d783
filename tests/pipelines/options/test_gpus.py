"""The types of GPU: what is said of each agrees with its name, and with the others."""

import pytest

from pipelines.options.command_line import parse
from pipelines.options.gpus import GPUS

NEEDED = ["--input", "gs://b/in", "--output", "gs://b/out"]


@pytest.mark.parametrize("name", GPUS)
def test_each_gpu_is_a_value_of_the_flag_and_can_be_had_one_by_one(name: str) -> None:
    gpu = GPUS[name]
    assert parse([*NEEDED, "--gpu", name])[0].gpu == name
    assert 1 in gpu.machines
    assert gpu.memory_gb >= 8
    assert gpu.hour > 0


@pytest.mark.parametrize("name", GPUS)
def test_machines_grow_with_the_number_of_gpus_and_are_of_one_family(name: str) -> None:
    machines = GPUS[name].machines
    assert list(machines) == sorted(machines)
    assert len(set(machines.values())) == len(machines)
    assert len({machine.partition("-")[0] for machine in machines.values()}) == 1


@pytest.mark.parametrize("name", GPUS)
def test_gpus_that_are_added_to_a_machine_bound_its_vcpus_for_every_number_of_them(name: str) -> None:
    gpu = GPUS[name]
    added = all(machine.startswith("n1-") for machine in gpu.machines.values())
    assert set(gpu.max_vcpus) == (set(gpu.machines) if added else set())
    for count, most in gpu.max_vcpus.items():
        assert int(gpu.machines[count].rpartition("-")[2]) <= most


def test_the_two_a100_differ_in_memory_as_their_names_say() -> None:
    assert GPUS["nvidia-a100-80gb"].memory_gb == 80
    assert GPUS["nvidia-tesla-a100"].memory_gb == 40
