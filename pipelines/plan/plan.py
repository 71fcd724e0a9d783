"""Everything that can be checked before any work is done, and the plan that comes out of it."""

import argparse
import dataclasses
import os
from collections.abc import Mapping

import numpy as np

from pipelines.options.placeholders import fill_in
from pipelines.plan.backbone_of import make_backbone
from transforms import Backbone, EmbeddingSpec, ReadImageUris, embedding_spec
from transforms.backbones import device_of, name_classes
from transforms.commit.claims import new_run_id, now
from transforms.commit.commit import read_manifest, seen_generations
from transforms.core.elements import Size
from transforms.core.errors import UsageError, one_line
from transforms.read.uris import canonical_uri, folder_pattern, install_hint, scheme_of
from transforms.storage.gcs import check_access


@dataclasses.dataclass(frozen=True)
class Target:
    """One backbone of a run, the folder that its embeddings go to, and the generations of what it may replace there."""

    backbone: Backbone
    spec: EmbeddingSpec
    output: str
    seen: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that can begin; `began` is when its command was, as time.monotonic() has it."""

    run_id: str
    started: str
    uris: ReadImageUris
    targets: tuple[Target, ...]
    command_line: tuple[str, ...]
    began: float

    @property
    def image_sizes(self) -> tuple[Size, ...]:
        """Each size that a backbone wants, once."""
        return tuple(dict.fromkeys(target.backbone.size for target in self.targets))


def make_plan(options: argparse.Namespace, remote: bool = False) -> Plan:
    """Check the options against the world: cheap things first, the weights last.

    Args:
      options: as `pipelines.options.flags` parses them.
      remote: another machine will embed, so that this one need not be able to.

    Raises:
      UsageError: something cannot work; one line says what to do.
    """
    run_id = new_run_id()
    options = fill_in(options, run_id)
    # Before Beam's filesystem, or anything else, is asked for one of them.
    check_access([*options.input, options.output, options.weights])
    backbones = [make_backbone(name, options, remote) for name in options.backbone]
    uris = ReadImageUris(options.input, options.uri_column)
    folder = canonical_uri(options.output)
    outputs = [folder if len(backbones) == 1 else os.path.join(folder, b.name) for b in backbones]
    seen = [check_output(output, uris, options.overwrite) for output in outputs]
    largest = max((b.size for b in backbones), key=max)
    if options.require_gpu and not remote:
        check_gpu(backbones)
    specs = [make_spec(b, options, largest, remote) for b in backbones]
    for backbone, spec in zip(backbones, specs, strict=True):
        if backbone.top_k:
            name_classes(np.zeros((1, spec.dim), np.float32), backbone.top_k)
    targets = tuple(Target(*target) for target in zip(backbones, specs, outputs, seen, strict=True))
    return Plan(run_id, now(), uris, targets, options.command_line, options.began)


def make_spec(backbone: Backbone, options: argparse.Namespace, largest: Size, remote: bool) -> EmbeddingSpec:
    """Read a backbone's weights and say how its embeddings are made."""
    spec = embedding_spec(
        loadable_here(backbone, remote),
        resize=options.resize,
        decoded_for=largest,
        embedding_dtype=options.embedding_dtype,
    )
    return dataclasses.replace(spec, precision=backbone.precision)


def loadable_here(backbone: Backbone, remote: bool) -> Backbone:
    """Return a backbone in float32 if it is another machine that computes: this one may have nothing else."""
    return dataclasses.replace(backbone, precision="float32") if remote else backbone


def check_gpu(backbones: list[Backbone]) -> None:
    """Refuse to run on a processor.

    Raises:
      UsageError: a backbone would not run on a GPU.
    """
    for backbone in backbones:
        if backbone.engine != "tensorflow":
            raise UsageError(f"--require_gpu needs --engine tensorflow, is {backbone.engine}")
        if device_of(backbone.engine) != "GPU":
            raise UsageError(
                "--require_gpu: TensorFlow sees no GPU here; check nvidia-smi, install tensorflow[and-cuda]"
            )


def check_output(output: str, uris: ReadImageUris, overwrite: bool) -> dict[str, int]:
    """Refuse an output folder that cannot be written to, holds a finished run, or would become input.

    Returns what `seen_generations` says of it: what is put there after this look is not this run's to replace.

    Raises:
      UsageError: the folder cannot be used.
    """
    folders = {folder_pattern(folder) for folder in _ancestors(output.rstrip("/"))}
    for source in uris.sources:
        if source.path in folders:
            raise UsageError(f"--output {output} lies in an --input folder and would become input; choose another")
    try:
        seen = seen_generations(output)
        finished = read_manifest(output)
    except (OSError, ValueError, ImportError) as e:
        raise UsageError(f"cannot read --output {output}: {one_line(e)}{install_hint(output)}") from e
    if finished and not overwrite:
        raise UsageError(f"--output {output} holds a finished run; choose another folder, or add --overwrite")
    if not scheme_of(output):
        existing = output
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        if not os.path.isdir(existing):
            raise UsageError(f"cannot write to --output {output}: {existing} is not a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise UsageError(f"cannot write to --output {output}: no permission in {existing}")
    return seen


def _ancestors(path: str) -> list[str]:
    return [path, *([] if os.path.dirname(path) == path else _ancestors(os.path.dirname(path)))]
