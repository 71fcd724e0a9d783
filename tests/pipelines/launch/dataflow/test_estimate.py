"""Estimates of what a Dataflow job needs and costs."""

import pathlib

import pytest

from pipelines.launch.dataflow.estimate import (
    GPU_CORES,
    PROCESS_RATE,
    check_memory,
    cost_lines,
    memory_needs,
    worker_rate,
)
from pipelines.launch.dataflow.job import DataflowJob, dataflow_job
from pipelines.options.command_line import parse
from pipelines.options.gpus import GPUS
from pipelines.plan.plan import Plan, make_plan
from pipelines.plan.run_stats import Speed
from pipelines.plan.runner import Runner, Where
from tests.pipelines.conftest import settings_of
from tests.pipelines.launch.dataflow.conftest import DATAFLOW, NEEDED
from transforms.core.errors import UsageError

SPEED = Speed(decode=0.004, forward=0.016)


def planned(photos: pathlib.Path, *flags: str) -> Plan:
    return make_plan(settings_of(photos, photos.parent / "out", *flags), Where(Runner.DATAFLOW))


def job_of(*flags: str) -> DataflowJob:
    image = "--sdk_container_image=r-docker.pkg.dev/p/i/embed-images:1"
    return dataflow_job(*parse([*NEEDED, *DATAFLOW, image, *flags]))


def test_every_gpu_has_a_guess_of_its_speed() -> None:
    assert set(GPU_CORES) == set(GPUS)


def test_a_small_model_fits_wherever_it_may_run(photos: pathlib.Path) -> None:
    plan = planned(photos)
    for job in (job_of(), job_of("--gpu=nvidia-tesla-p4")):
        needs = check_memory(plan, job)
        assert job.machine is not None
        assert 0 < needs.host_gb < job.machine.memory_gb


def test_as_many_models_as_processes_do_not_fit_a_lean_machine(photos: pathlib.Path) -> None:
    plan = planned(photos)
    lean = job_of("--machine_type=n2-highcpu-16", "--experiments=use_multiple_sdk_containers")
    one = memory_needs(plan, job_of("--machine_type=n2-highcpu-16")).host_gb
    assert memory_needs(plan, lean).host_gb == pytest.approx(16 * one)
    with pytest.raises(UsageError, match=r"n2-highcpu-16 has 16 GB, 16 processes .* give a larger --machine_type"):
        check_memory(plan, lean)
    check_memory(plan, job_of("--machine_type=n2-highcpu-16"))


def test_each_bundle_that_is_worked_on_holds_six_batches(photos: pathlib.Path) -> None:
    plan = planned(photos, "--max_image_bytes=1")
    few, many = (job_of(f"--number_of_worker_harness_threads={threads}") for threads in (2, 12))
    batches = 6 * 10 * 4096 * 3 * 32 * 32 / 1e9
    assert memory_needs(plan, many).host_gb - memory_needs(plan, few).host_gb == pytest.approx(batches, rel=1e-5)


def test_large_images_do_not_fit_a_small_gpu(photos: pathlib.Path) -> None:
    plan = planned(photos, "--image_size=1024")
    with pytest.raises(UsageError, match="nvidia-tesla-p4 has 8 GB"):
        check_memory(plan, job_of("--gpu=nvidia-tesla-p4", "--machine_type=n1-highmem-16"))


def test_a_worker_on_processors_decodes_and_embeds_with_the_same_ones() -> None:
    assert worker_rate(job_of("--machine_type=n2-standard-8"), SPEED) == pytest.approx(8 / 0.020)


def test_a_worker_with_a_gpu_is_as_fast_as_the_slower_of_both() -> None:
    job = job_of("--gpu=nvidia-l4")
    assert worker_rate(job, Speed(0.008, 0.016)) == pytest.approx(8 / 0.008)
    assert worker_rate(job, Speed(0.004, 0.8)) == pytest.approx(GPU_CORES["nvidia-l4"] / 0.8)


def test_a_process_hands_through_so_many_images_and_no_more() -> None:
    assert worker_rate(job_of("--gpu=nvidia-l4"), Speed(1e-5, 1e-5)) == PROCESS_RATE


def test_the_cost_is_the_hours_of_all_workers_and_says_what_it_rests_on() -> None:
    speed, cost, _, requests, prices = cost_lines(job_of("--machine_type=n2-standard-4"), 720_000, SPEED, workers=2)
    assert "about 200 img/s a worker: decoding 4.0 ms and embedding 16.0 ms" in speed
    # 720,000 images at 200 img/s by 2 workers: half an hour, and a start of 0.15.
    hours = 0.65
    price = 4 * 0.056 + 16 * 0.003557 + 50 * 0.000054
    assert f"about {hours:.1f} h on 2 workers, {hours * 2 * price:.2f} US dollars: 0.15 h to start" in cost
    # 720,000 reads of class B at 0.40 a million.
    assert "0.29 US dollars" in requests
    assert "assumed" in prices
    assert "2026-11" in prices


def test_the_steps_without_a_gpu_have_a_worker_of_their_own_that_costs_too() -> None:
    _, cost, *_ = cost_lines(job_of("--gpu=nvidia-l4"), 0, SPEED, workers=1)
    gpu, other = 8 * 0.056 + 32 * 0.003557 + 100 * 0.000054 + 0.672, 4 * 0.056 + 16 * 0.003557 + 100 * 0.000054
    assert f"{0.15 * (gpu + other):.2f} US dollars" in cost
    assert f"{gpu:.3f} an hour and worker, and {other:.3f} for one n2-standard-4 beside them" in cost


def test_the_cheapest_of_a_few_machines_comes_first() -> None:
    line = cost_lines(job_of(), 0, SPEED, workers=1)[2]
    # Price of an hour, and images in it, by hand: a vCPU decodes and embeds 50 a second, eight decode 2,000.
    disk = 50 * 0.000054
    by_hand = {
        "n2-standard-4": (4 * 0.056 + 16 * 0.003557 + disk) / (4 * 50 * 3600),
        "n2-highcpu-8": (8 * 0.056 + 8 * 0.003557 + disk) / (8 * 50 * 3600),
        "g2-standard-8 with nvidia-l4": (8 * 0.056 + 32 * 0.003557 + disk + 0.672) / (1500 * 3600),
    }
    cheapest = [f"{1e6 * by_hand[name]:.2f} on {name}" for name in sorted(by_hand, key=lambda name: by_hand[name])]
    assert line == f"  machines  a million images cost about {', '.join(cheapest)} US dollars"


def test_flexrs_takes_less_for_processors_and_memory() -> None:
    _, cost, *_ = cost_lines(job_of("--flexrs_goal=COST_OPTIMIZED"), 0, SPEED, workers=1)
    price = 0.6 * (4 * 0.056 + 16 * 0.003557) + 50 * 0.000054
    assert cost.endswith(f"{price:.3f} an hour and worker, processors and memory reduced by FlexRS")


def test_encoded_images_of_the_largest_size_fit_too(photos: pathlib.Path) -> None:
    """Else a few bundles of large files at once end a worker, and the job after four tries."""
    few, many = (memory_needs(planned(photos, f"--max_image_bytes={n}"), job_of()).host_gb for n in (1, 10_000_001))
    # Two a thread are fetched ahead, of 16 threads, and one is awaited, in each of four bundles.
    assert many - few == pytest.approx(33 * 4 * 10_000_000 / 1e9)
    with pytest.raises(UsageError, match="or a smaller --max_image_bytes"):
        check_memory(planned(photos, "--max_image_bytes=1000000000"), job_of())


def test_a_machine_that_is_not_known_has_no_estimate_and_no_check(photos: pathlib.Path) -> None:
    job = job_of("--machine_type=m3-ultramem-32")
    assert cost_lines(job, 100, SPEED, 1) == ["  cost      unknown: the machine type is not known here"]
    check_memory(planned(photos), job)
