"""Google Cloud on loopback, as much of it as a submission speaks to: an emulated Cloud Storage and a Dataflow endpoint.

The endpoint says of a job what a test wants said; with `runs` it runs the staged graph, when asked for the job.
"""

import dataclasses
import itertools
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from apache_beam.internal.gcp import auth
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.servers.gcs import GcsServer, gcs_server
from tests.servers.rest import Answer, Refusal, serving
from transforms.core.counters import counted

PROJECT, REGION = "a-project", "europe-west4"


@dataclasses.dataclass
class DataflowServer:
    """A Dataflow endpoint.

    Attributes:
      states: that a job is in at one look after another, the last for good.
      counters: of the job.
      errors: the texts of its messages.
      submitted: the bodies of the jobs, as they came.
      requests: 'METHOD path' of each request.
      runs: whether the job is run, and its counters are real.
      counts: whether its counters can be had.
      looked: called at each look at the job.
      refuses: what is answered to a look at the job; None where it has a state.
      address: where it listens.
      bucket: in which its jobs are staged.
    """

    states: list[str] = dataclasses.field(default_factory=lambda: ["JOB_STATE_DONE"])
    counters: dict[str, int] = dataclasses.field(default_factory=dict)
    errors: list[str] = dataclasses.field(default_factory=list)
    submitted: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    requests: list[str] = dataclasses.field(default_factory=list)
    runs: bool = False
    counts: bool = True
    address: str = ""
    bucket: str = ""
    looked: Callable[[], object] = lambda: None
    refuses: Refusal | None = None
    _looks: int = 0

    @property
    def flags(self) -> list[str]:
        """The flags that lead a submission here."""
        google = [f"--project={PROJECT}", f"--region={REGION}", f"--temp_location=gs://{self.bucket}/tmp"]
        return ["--runner=DataflowRunner", *google, f"--dataflow_endpoint={self.address}", "--no_auth"]

    def answer(self, method: str, path: str, body: Any) -> Answer:
        """Return the answer to a request."""
        self.requests.append(f"{method} {path}")
        jobs = f"/v1b3/projects/{PROJECT}/locations/{REGION}/jobs"
        if (method, path) == ("POST", jobs):
            self.submitted.append(body)
            kept = {key: body[key] for key in ("name", "clientRequestId", "labels") if key in body}
            return {**kept, "id": "a-job", "currentState": "JOB_STATE_PENDING"}
        if method != "GET" or not path.startswith(f"{jobs}/a-job"):
            return None
        if path.endswith("/messages"):
            importance = "JOB_MESSAGE_ERROR"
            messages = [{"id": text, "messageText": text, "messageImportance": importance} for text in self.errors]
            return {"jobMessages": messages}
        if path.endswith("/metrics"):
            if not self.counts:
                return Refusal(403, "no metrics")
            named = itertools.product(self.counters.items(), ({}, {"tentative": "true"}))
            return {"metrics": [_metric(name, value, context) for (name, value), context in named]}
        if self.refuses:
            return self.refuses
        if self.runs and not self._looks:
            self.counters = counted(self.run_staged())
        state = self.states[min(self._looks, len(self.states) - 1)]
        self._looks += 1
        self.looked()
        return {"id": "a-job", "currentState": state}

    def upload(self, folder: pathlib.Path) -> str:
        """Put the JPEGs below a folder into the bucket; return the uri of the folder that they are in."""
        for path in folder.rglob("*.jpg"):
            with FileSystems.create(f"gs://{self.bucket}/in/{path.name}") as f:
                f.write(path.read_bytes())
        return f"gs://{self.bucket}/in"

    def run_staged(self, urn: str = python_urns.EMBEDDED_PYTHON, payload: bytes = b"") -> Any:
        """Run the staged graph of the one submitted job, here or in Beam's environment `urn`; return its result."""
        graph = self.staged_graph()
        for environment in graph.components.environments.values():
            environment.urn, environment.payload = urn, payload
            del environment.dependencies[:]
        result = FnApiRunner().run_via_runner_api(graph, PipelineOptions())
        result.wait_until_finish()
        return result

    def staged_graph(self) -> beam_runner_api_pb2.Pipeline:
        """Return the graph of the one submitted job."""
        (body,) = self.submitted
        with FileSystems.open(body["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]) as f:
            return beam_runner_api_pb2.Pipeline.FromString(f.read())


def _metric(name: str, value: int, context: dict[str, str]) -> dict[str, Any]:
    context = {"step": "s1", "namespace": "embed-images", **context}
    return {"name": {"origin": "user", "name": name, "context": context}, "scalar": value}


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """An emulated Cloud Storage for all tests, which the client libraries find by themselves."""
    folder = tmp_path_factory.mktemp("storage")
    with gcs_server("gcp-storage-emulator", folder) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", server.url)
        # Beam would look for credentials for minutes where there are none.
        environment.setattr(auth._Credentials, "_credentials_init", True)
        yield server


@pytest.fixture
def bucket(storage: GcsServer) -> str:
    """The name of a new, empty bucket."""
    storage.create_bucket(f"bucket-{uuid.uuid4().hex[:12]}")
    return storage.bucket


@pytest.fixture
def dataflow(bucket: str) -> Iterator[DataflowServer]:
    """A Dataflow endpoint, and a bucket for its jobs."""
    service = DataflowServer(bucket=bucket)
    with serving(service.answer) as service.address:
        yield service
