"""Jobs of Dataflow, which the tests of its rooms share: flags of a whole job, and what lies in its bucket."""

import pathlib

import pytest
from apache_beam.io.filesystems import FileSystems

from tests.pipelines.conftest import LIGHT
from tests.servers.dataflow import DataflowServer

NEEDED = ["--input", "gs://b/in", "--output", "gs://b/out"]
DATAFLOW = ["--runner=DataflowRunner", "--project=p", "--region=r", "--temp_location=gs://b/tmp"]
"""Of a job that is described, and never submitted."""

IMAGE = "europe-west4-docker.pkg.dev/a-project/images/embed-images-python3.11:1"


@pytest.fixture
def flags(dataflow: DataflowServer, photos: pathlib.Path) -> list[str]:
    """The flags that embed ten images of the bucket."""
    output = f"gs://{dataflow.bucket}/out"
    return ["--input", dataflow.upload(photos), "--output", output, *LIGHT, *dataflow.flags]


def names_below(folder: str) -> list[str]:
    """List the paths of all objects below a folder."""
    return sorted(m.path[len(folder) :] for found in FileSystems.match([f"{folder}/**"]) for m in found.metadata_list)


def output_of(dataflow: DataflowServer) -> list[str]:
    """List the paths of all objects in the output folder of a job."""
    return names_below(f"gs://{dataflow.bucket}/out")
