"""The plan of a run: the settings, what is read, and where each backbone's embeddings go."""

import dataclasses
import os
from collections.abc import Mapping

import numpy as np

from pipelines.options.placeholders import filled, filled_output
from pipelines.options.settings import HowToEmbed, Settings
from pipelines.plan.backbone_of import backbones_of
from pipelines.plan.checks import check_gpu, check_output
from pipelines.plan.disk import check_disk
from pipelines.plan.runner import Where
from pipelines.plan.standing import Standing, standing_in
from transforms import Backbone, EmbeddingSpec, ReadImageUris, embedding_spec
from transforms.backbones import name_classes, note_of
from transforms.backbones.engines import engine_for
from transforms.collection.layout import new_run_id, owner_path
from transforms.collection.manifest import now
from transforms.core.elements import Size
from transforms.core.errors import UsageError
from transforms.embed.canary import Canary
from transforms.read.column_types import widened
from transforms.storage.gcs import check_access
from transforms.storage.paths import canonical_uri


@dataclasses.dataclass(frozen=True)
class Target:
    """One backbone of a run and where its embeddings go.

    Attributes:
      backbone: the backbone with its weights.
      spec: how its embeddings are made.
      output: folder that the embeddings go to.
      replaceable: versions of the files there that the run may replace.
      standing: what stands there before the run.
      note: what was taken of a model of the user's own, in words; '' for a backbone of Keras.
    """

    backbone: Backbone
    spec: EmbeddingSpec
    output: str
    replaceable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    standing: Standing = dataclasses.field(default_factory=Standing)
    note: str = ""

    @property
    def canary(self) -> Canary | None:
        """What the first run of the collection computed; None if this is the first."""
        return self.standing.canary


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that can begin.

    Attributes:
      run_id: the run's id, part of its file names.
      started: when the run was planned, ISO 8601, UTC.
      settings: what the person asked for.
      where: where the run happens.
      source: the transform that reads the uris.
      targets: where the embeddings go, one for each backbone.
    """

    run_id: str
    started: str
    settings: Settings
    where: Where
    source: ReadImageUris
    targets: tuple[Target, ...]

    @property
    def image_sizes(self) -> tuple[Size, ...]:
        """Each (height, width) in px that a backbone takes, once."""
        return tuple(dict.fromkeys(target.backbone.size for target in self.targets))

    def vector_type_of(self, target: Target) -> str:
        """Return the type of a target's vectors in Parquet: the one that is asked for, else the one that stands."""
        return self.settings.vector_type or target.standing.vector_type


def make_plan(settings: Settings, where: Where) -> Plan:
    """Check the settings, cheap things first and the weights last, and return the plan.

    Raises:
      UsageError: something cannot work; one line says what to do.
    """
    run_id = new_run_id()
    inputs, output = filled(settings.input, run_id), filled_output(settings.output, run_id)
    # First, since Beam's filesystem would look for missing credentials for minutes.
    check_access([*inputs, output, settings.own_weights])
    backbones = backbones_of(settings, where)
    names = [b.name for b in backbones]
    if len(set(names)) < len(names):
        raise UsageError(f"--backbone names one twice: {', '.join(names)}")
    source = ReadImageUris(list(inputs), settings.uri_column, settings.version_column, one_reader=where.is_one_process)
    folder = canonical_uri(output)
    outputs = [folder if len(backbones) == 1 else os.path.join(folder, b.name) for b in backbones]
    found = [check_output(path, source, settings.existing) for path in outputs]
    largest = max((b.size for b in backbones), key=max)
    if settings.require_gpu and where.embeds_here:
        check_gpu(backbones)
    specs = [spec_of(b, settings, where, largest) for b in backbones]
    if source.num_inputs is not None and not any(one.manifest for one in found):
        # An update may have little to write.
        check_disk(folder, specs, source.num_inputs, len(settings.output_format))
    for backbone, spec in zip(backbones, specs, strict=True):
        if backbone.top_k:
            # Now, since the names of the classes may have to be downloaded.
            name_classes(np.zeros((1, spec.dim), np.float32), backbone.top_k)
    targets = tuple(
        Target(
            backbone,
            spec,
            path,
            one.replaceable,
            standing_in(path, one.manifest, spec, settings),
            note_of(loadable_here(backbone, where)),
        )
        for backbone, spec, path, one in zip(backbones, specs, outputs, found, strict=True)
    )
    source.carry(widened([*(target.standing.columns for target in targets), source.columns]))
    source.must_see = (*source.folders, *(owner_path(path, run_id) for path in outputs))
    return Plan(run_id, now(), settings, where, source, targets)


def spec_of(backbone: Backbone, settings: HowToEmbed, where: Where, largest: Size) -> EmbeddingSpec:
    """Return how one of the backbones that the settings name embeds images that are decoded for a largest size.

    Raises:
      UsageError: its weights cannot be read or do not fit.
    """
    spec = embedding_spec(
        loadable_here(backbone, where),
        resize=settings.resize,
        resize_filter=settings.resize_filter,
        color_profile=settings.color_profile,
        central_fraction=settings.central_fraction,
        decoded_for=largest,
        embedding_dtype=settings.embedding_dtype,
    )
    return dataclasses.replace(spec, precision=backbone.precision)


def loadable_here(backbone: Backbone, where: Where) -> Backbone:
    """Return the backbone as this machine can load it: in float32, by what builds it, if another one computes."""
    if where.embeds_here:
        return backbone
    return dataclasses.replace(backbone, precision="float32", engine=engine_for(backbone.read_as))
