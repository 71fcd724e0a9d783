"""Build the template's images by Cloud Build and register the template: a spec in Cloud Storage that names one.

python -m templates.deploy --project my-project --region europe-west4 --bucket my-bucket

The image's tag is the version and a hash of the source, so the same source is built once: a second deployment builds
nothing, and registers what was built. Each spec is kept under its tag; the schedule launches the current one.

    gs://BUCKET/templates/embed_images.json        the current spec
    gs://BUCKET/templates/embed_images/TAG.json    each spec that was ever registered: --tag TAG makes it current again
    gs://BUCKET/sources/TAG.tar.gz                 what it was built from

The spec is written only once the image exists. Two deployments at once do not harm each other; the last is current.
"""

import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import sys
import time
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from google.cloud.devtools import cloudbuild_v1
from google.protobuf.duration_pb2 import Duration

from pipelines.options.arguments import Parser
from templates.clients import add_project, as_json, connect, run_command, show
from templates.metadata import metadata
from templates.source import pack_source, source_files
from transforms.core.errors import RunError, UsageError

PROJECT, NAME = "beam-image-embeddings", "embed_images"
BUILD_SECONDS = 3600
POLL_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between two looks at a build; the last one repeats."""


@dataclasses.dataclass(frozen=True)
class Template:
    """A template, and where its parts are.

    Attributes:
      repository: repository in Artifact Registry, for Docker images.
      tag: tag of the image and its spec.
      backbones: backbones whose ImageNet weights the image contains.
      build_account: email of the service account that builds, '' for Cloud Build's default.
    """

    project: str
    region: str
    bucket: str
    repository: str
    tag: str
    backbones: tuple[str, ...] = ()
    build_account: str = ""

    @property
    def image(self) -> str:
        """The name of the image for all but workers with a GPU; it tells the version of Python, which is checked."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{self.repository}/embed-images-python3.11:{self.tag}"

    @property
    def cuda_image(self) -> str:
        """The full name of the image for workers with a GPU, which `main.py` makes of the other one's."""
        return f"{self.image}-cuda"

    @property
    def spec_path(self) -> str:
        """The path of the current spec, for schedules and launches."""
        return f"gs://{self.bucket}/templates/{NAME}.json"

    @property
    def kept_path(self) -> str:
        """The path under which this spec is kept."""
        return f"gs://{self.bucket}/templates/{NAME}/{self.tag}.json"

    @property
    def source_object(self) -> str:
        """The name of the source's archive in the bucket."""
        return f"sources/{self.tag}.tar.gz"

    def spec(self) -> dict[str, Any]:
        """Return the spec, in the form of Google's ContainerSpec."""
        return {"image": self.image, "sdkInfo": {"language": "PYTHON"}, "metadata": metadata()}

    def build(self) -> cloudbuild_v1.CreateBuildRequest:
        """Return the request that builds both images."""
        arguments = {"IMAGE": self.image, "BACKBONES": " ".join(self.backbones)}
        docker = ["build", f"--file=templates/{NAME}/Dockerfile"]
        docker += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        images = {"without_gpu": self.image, "with_gpu": self.cuda_image}
        account = f"projects/{self.project}/serviceAccounts/{self.build_account}" if self.build_account else ""
        source = cloudbuild_v1.StorageSource(bucket=self.bucket, object_=self.source_object)
        build = cloudbuild_v1.Build(
            source=cloudbuild_v1.Source(storage_source=source),
            # The second step finds the layers of the first.
            steps=[
                cloudbuild_v1.BuildStep(
                    name="gcr.io/cloud-builders/docker", args=[*docker, f"--target={target}", f"--tag={image}", "."]
                )
                for target, image in images.items()
            ],
            images=list(images.values()),
            timeout=Duration(seconds=BUILD_SECONDS),
            options=cloudbuild_v1.BuildOptions(
                machine_type=cloudbuild_v1.BuildOptions.MachineType.E2_HIGHCPU_8,
                disk_size_gb=100,
                logging=cloudbuild_v1.BuildOptions.LoggingMode.CLOUD_LOGGING_ONLY,
            ),
            service_account=account,
            tags=["embed-images"],
        )
        return cloudbuild_v1.CreateBuildRequest(project_id=self.project, build=build)


def tag_of(source: bytes, backbones: tuple[str, ...]) -> str:
    """Return the tag of the image that a source becomes: the version and a hash."""
    digest = hashlib.sha256(source + " ".join(backbones).encode()).hexdigest()
    return f"{importlib.metadata.version(PROJECT)}-{digest[:12]}"


def deploy(template: Template, source: bytes, endpoint: str) -> None:
    """Build the image unless it was built before, and make it current.

    Raises:
      RunError: the build failed; nothing was registered.
    """
    if FileSystems.exists(template.kept_path):
        print(f"built     {template.image}, before")
    else:
        put(f"gs://{template.bucket}/{template.source_object}", source)
        build_image(template, connect(cloudbuild_v1.CloudBuildClient, endpoint))
        put(template.kept_path, json.dumps(template.spec(), indent=2).encode())
        print(f"built     {template.image}")
    use(template)


def use(template: Template) -> None:
    """Make a kept spec the current one.

    Raises:
      UsageError: there is no spec of that tag.
    """
    if not FileSystems.exists(template.kept_path):
        raise UsageError(f"there is no {template.kept_path}; `gcloud storage ls` of its folder shows the tags")
    with FileSystems.open(template.kept_path, compression_type=CompressionTypes.UNCOMPRESSED) as f:
        put(template.spec_path, f.read())
    print(f"current   {template.spec_path} is {template.tag}")


def put(path: str, content: bytes) -> None:
    """Write an object."""
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as f:
        f.write(content)


def build_image(template: Template, client: Any) -> None:
    """Build the image, and wait until it exists.

    Raises:
      RunError: the build did not succeed.
    """
    build = client.create_build(template.build()).metadata.build
    print(f"building  {build.log_url or build.id}", flush=True)
    waits = itertools.chain(POLL_SECONDS, itertools.repeat(POLL_SECONDS[-1]))
    under_way = (cloudbuild_v1.Build.Status.QUEUED, cloudbuild_v1.Build.Status.WORKING)
    while (build := client.get_build(project_id=template.project, id=build.id)).status in under_way:
        time.sleep(next(waits))
    if build.status != cloudbuild_v1.Build.Status.SUCCESS:
        said = build.failure_info.detail or build.status_detail or f"its log says why: {build.log_url}"
        raise RunError(f"the build ended as {build.status.name}: {said}; nothing was registered")


def parser() -> Parser:
    """Return the parser of this command's flags."""
    p = Parser(prog="python -m templates.deploy", description=(__doc__ or "").splitlines()[0])
    add_project(p)
    p.add_argument("--bucket", required=True, help="bucket for the source and the specs, without gs://")
    p.add_argument("--repository", default="embed-images", help="in Artifact Registry (default embed-images)")
    p.add_argument("--backbones", default="", help="put their ImageNet weights into the image; separated by commas")
    p.add_argument("--build_account", default="", help="email of the service account that builds")
    p.add_argument("--tag", default="", help="make this tag current again, and build nothing")
    p.add_argument("--build_endpoint", default="", help="another address of Cloud Build, for tests")
    return p


def main(argv: list[str]) -> None:
    """Deploy as the flags say.

    Raises:
      UsageError, RunError: as `deploy` and `use`.
    """
    options = parser().parse_args(argv)
    backbones = tuple(name for name in options.backbones.split(",") if name)
    source = pack_source()
    tag = options.tag or tag_of(source, backbones)
    place = (options.project, options.region, options.bucket, options.repository)
    template = Template(*place, tag, backbones, options.build_account)
    if options.dry_run and options.tag:
        show({"copy": template.kept_path, "to": template.spec_path})
    elif options.dry_run:
        upload = f"gs://{template.bucket}/{template.source_object}"
        build = as_json(template.build())
        show(
            {
                "source": {"object": upload, "bytes": len(source), "files": len(source_files())},
                "createBuild": build,
                "spec": {"objects": [template.kept_path, template.spec_path], "content": template.spec()},
            }
        )
    elif options.tag:
        use(template)
    else:
        deploy(template, source, options.build_endpoint)


if __name__ == "__main__":
    sys.exit(run_command(main, sys.argv[1:]))
