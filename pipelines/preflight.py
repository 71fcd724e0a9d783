"""Everything that can be checked before any work is done, and the plan that comes out of it."""

import argparse
import dataclasses
import os

import numpy as np

from transforms import Backbone, EmbeddingSpec, ReadImageUris, embedding_spec
from transforms.backbones import choose_engine, find_backbone, load_backbone, name_classes
from transforms.elements import Size
from transforms.errors import UsageError, one_line
from transforms.manifest import read_manifest
from transforms.runs import new_run_id, now
from transforms.uris import canonical_uri, folder_pattern, install_hint, scheme_of


@dataclasses.dataclass(frozen=True)
class Target:
    """One backbone of a run, and the folder that its embeddings go to."""

    backbone: Backbone
    spec: EmbeddingSpec
    output: str


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


def make_plan(options: argparse.Namespace) -> Plan:
    """Check the options against the world: cheap things first, the weights last.

    Raises:
      UsageError: something cannot work; one line says what to do.
    """
    backbones = [make_backbone(name, options) for name in options.backbone]
    uris = ReadImageUris(options.input, options.uri_column)
    folder = canonical_uri(options.output)
    outputs = [folder if len(backbones) == 1 else os.path.join(folder, b.name) for b in backbones]
    for output in outputs:
        check_output(output, uris, options.overwrite)
    largest = max((b.size for b in backbones), key=max)
    specs = [
        embedding_spec(b, resize=options.resize, decoded_for=largest, embedding_dtype=options.embedding_dtype)
        for b in backbones
    ]
    if options.require_gpu:
        check_gpu(backbones)
    for backbone, spec in zip(backbones, specs, strict=True):
        if backbone.top_k:
            name_classes(np.zeros((1, spec.dim), np.float32), backbone.top_k)
    targets = tuple(Target(*target) for target in zip(backbones, specs, outputs, strict=True))
    return Plan(new_run_id(), now(), uris, targets, options.command_line, options.began)


def make_backbone(name: str, options: argparse.Namespace) -> Backbone:
    """Return one of the backbones that the options name."""
    weights = options.weights
    if weights not in ("imagenet", "random"):
        weights = canonical_uri(weights)
    return Backbone(
        name,
        weights=weights,
        weights_sha256=options.weights_sha256,
        backbone_kwargs=options.backbone_kwargs,
        pooling=options.pooling,
        include_top=options.include_top,
        classifier_activation=options.classifier_activation,
        top_k=options.top_k,
        layer=options.layer,
        image_size=options.image_size,
        normalize=options.normalize,
        precision=options.precision,
        engine=choose_engine(options.engine, 4 * find_backbone(name).params),
        trust_saved_model=options.trust_saved_model,
    )


def check_gpu(backbones: list[Backbone]) -> None:
    """Refuse to run on a processor.

    Raises:
      UsageError: a backbone would not run on a GPU.
    """
    for backbone in backbones:
        if backbone.engine != "tensorflow":
            raise UsageError(f"--require_gpu needs --engine tensorflow, is {backbone.engine}")
        if load_backbone(backbone).device != "GPU":
            raise UsageError(
                "--require_gpu: TensorFlow sees no GPU here; check nvidia-smi, install tensorflow[and-cuda]"
            )


def check_output(output: str, uris: ReadImageUris, overwrite: bool) -> None:
    """Refuse an output folder that cannot be written to, holds a finished run, or would become input.

    Raises:
      UsageError: the folder cannot be used.
    """
    folders = {folder_pattern(folder) for folder in _ancestors(output.rstrip("/"))}
    for source in uris.sources:
        if source.path in folders:
            raise UsageError(f"--output {output} lies in an --input folder and would become input; choose another")
    try:
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


def _ancestors(path: str) -> list[str]:
    return [path, *([] if os.path.dirname(path) == path else _ancestors(os.path.dirname(path)))]
