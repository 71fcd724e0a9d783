"""What a million images cost on each of a few machines of Google's, by the estimate that a dry run prints."""

import dataclasses
import os
import tempfile

from pipelines.launch.dataflow.estimate import ALTERNATIVES, READ_DOLLARS, worker_rate
from pipelines.launch.dataflow.job import dataflow_job
from pipelines.launch.dataflow.machines import find_machine, hourly_price
from pipelines.launch.trial import try_first_images
from pipelines.options.command_line import parse
from pipelines.plan.plan import make_plan
from pipelines.plan.run_stats import Speed
from pipelines.plan.runner import Where
from pipelines.sample_images import write_sample_images

JOB = ["--runner=DataflowRunner", "--project=p", "--region=us-central1", "--temp_location=gs://bucket/tmp"]


def dollars_a_million(speed: Speed) -> dict[str, float]:
    """Return US dollars for a million images, one read of each included, by the machine of the workers."""
    job = dataflow_job(*parse(["--input=gs://bucket/in", "--output=gs://bucket/out", *JOB]))
    found = {}
    for name, gpu in ALTERNATIVES:
        machine = find_machine(name)
        one = dataclasses.replace(job, machine=machine, gpu=gpu, gpu_count=1, processes=1)
        if machine is None:
            raise LookupError(f"the machine {name} has no price")
        price = hourly_price(machine, one.disk_gb, gpu, 1)
        rate = worker_rate(one, speed)
        found[f"{name} with {gpu}" if gpu else name] = 1e6 * (price / 3600 / rate + READ_DOLLARS)
    return found


def speed_here(backbone: str) -> Speed:
    """Return what an image of 500 x 375 px takes of a core here, with the engine that is fastest."""
    with tempfile.TemporaryDirectory() as folder:
        images = os.path.join(folder, "images")
        write_sample_images(images, 8)
        flags = ["--input", images, "--output", os.path.join(folder, "out"), "--backbone", backbone]
        plan = make_plan(parse([*flags, "--weights", "random"])[0], Where())
        trial, lines = try_first_images(plan)
        list(lines)
        trial.embed(plan, plan.targets[0])
        return trial.speed()
