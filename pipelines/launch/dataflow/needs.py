"""What a Dataflow job needs, for a dry run: checked with small objects that are removed again."""

from apache_beam.options.pipeline_options import GoogleCloudOptions

from pipelines.launch.claimed import claim_outputs, end_outputs
from pipelines.launch.dataflow.contradictions import container_versions, own_versions
from pipelines.launch.dataflow.estimate import check_memory
from pipelines.launch.dataflow.job import DataflowJob
from pipelines.launch.dataflow.submission import check_staging
from pipelines.options.gpus import GPUS
from pipelines.plan.plan import Plan
from transforms.core.errors import UsageError


def need_lines(plan: Plan, job: DataflowJob) -> list[str]:
    """Return what a job needs, line by line.

    Raises:
      UsageError: the job cannot work.
    """
    needs, machine = check_memory(plan, job), job.machine
    check_staging(job, plan)
    claim_outputs(plan)
    left = end_outputs(plan).left
    if left:
        # The job would fail at this as well: it names files by copying and removing them.
        raise UsageError(left[0])
    google = job.options.view_as(GoogleCloudOptions)
    own, theirs = own_versions(), container_versions(job.image)
    same = "workers have the same" if theirs == own or not job.image else _untold(job.image)
    about = f"{machine.vcpus} vCPUs, {machine.memory_gb:.0f} GB" if machine else "of a family that is not known here"
    gpu = f"; about {needs.gpu_gb:.1f} of {GPUS[job.gpu].memory_gb} GB of a {job.gpu}" if job.gpu else ""
    of = f" of {machine.memory_gb:.0f}" if machine else ""
    other = f"; {job.other_machine.name} for the steps without a GPU" if job.other_machine else ""
    return [
        f"Dataflow, project {google.project}, region {google.region}",
        f"  writable  {google.temp_location} and --output, by small objects that were removed again",
        f"  versions  Python {own[0]}, Beam {own[1]}; {same}",
        f"  worker    {machine.name if machine else 'the --machine_type'}: {about}; processes {job.processes}{other}",
        f"  memory    up to {needs.host_gb:.1f}{of} GB{gpu}, if images have --max_image_bytes; batches halve to fit",
    ]


def _untold(image: str) -> str:
    return f"the name of {image} does not tell whether it has the same, which it must"
