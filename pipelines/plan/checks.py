"""Checks before any work is done; each refusal is one line that says what to do."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from transforms import Backbone, ReadImageUris
from transforms.backbones.engines import ENGINES, device_of, engine_for
from transforms.collection.layout import run_of
from transforms.collection.manifest import Manifest, read_manifest, replaceable_versions
from transforms.core.errors import UsageError, one_line
from transforms.storage.gcs import install_hint
from transforms.storage.paths import folder_pattern, scheme_of
from transforms.storage.schemes import SCHEMES, WEB, how_to_install


def check_gpu(backbones: Sequence[Backbone]) -> None:
    """Refuse backbones that would not run on a GPU.

    Raises:
      UsageError: a backbone would not run on a GPU.
    """
    for backbone in backbones:
        if "GPU" not in ENGINES[backbone.engine].runs_on:
            needed = engine_for(backbone.read_as, "GPU")
            raise UsageError(f"--require_gpu needs --engine {needed}, is {backbone.engine}")
        if device_of(backbone.engine) != "GPU":
            raise UsageError(
                "--require_gpu: TensorFlow sees no GPU here; check nvidia-smi, install tensorflow[and-cuda]"
            )


@dataclasses.dataclass(frozen=True)
class Output:
    """An output folder as it was found.

    Attributes:
      replaceable: its `replaceable_versions`: a run may not replace what is written there after they were looked up.
      manifest: the manifest of the collection that stands there and is to be updated; else None.
    """

    replaceable: Mapping[str, str]
    manifest: Manifest | None = None


def check_output(output: str, source: ReadImageUris, existing: str) -> Output:
    """Refuse an output folder that cannot be written to, holds what must stay, or would become input.

    Args:
      output: the folder.
      source: what is read.
      existing: what to do about a collection that stands, one of `transforms.collection.choices.EXISTING`.

    Raises:
      UsageError: the folder cannot be used.
    """
    scheme = scheme_of(output)
    if scheme and (scheme not in SCHEMES or scheme in WEB):
        raise UsageError(f"--output {output}: nothing here writes to {scheme}://; choose a local folder or gs://")
    if command := how_to_install(output):
        raise UsageError(f"nothing here writes to --output {output}; run: {command}")
    folders = {folder_pattern(folder) for folder in _ancestors(output.rstrip("/"))}
    for one in source.sources:
        if folders & {one.path, one.table}:
            raise UsageError(f"--output {output} lies in an --input folder and would become input; choose another")
    try:
        replaceable = replaceable_versions(output)
        manifest = _manifest(output, existing)
    except (OSError, ValueError, ImportError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"cannot read --output {output}: {one_line(e)}{install_hint(output)}") from e
    if manifest and _is_flat(manifest):
        raise UsageError(
            f"--output {output} holds a run of an older version, with all files in one folder; choose another folder"
        )
    if manifest and existing == "refuse":
        raise UsageError(
            f"--output {output} holds a collection; add --existing update to bring it in step with the input, or "
            "--existing replace, or choose another folder"
        )
    if not scheme_of(output):
        _check_writable(output)
    return Output(replaceable, manifest if existing == "update" else None)


def _manifest(output: str, existing: str) -> Manifest | None:
    try:
        return read_manifest(output)
    except ValueError as e:
        if existing == "replace":
            return None
        raise UsageError(
            f"--output {output} has a manifest.json that is no manifest ({one_line(e)}); choose another folder, or "
            "replace it with --existing replace"
        ) from e


def _is_flat(manifest: Manifest) -> bool:
    """Whether a run's files lie beside its manifest, where no later run would remove them."""
    return any(not run_of(file["name"]) for file in manifest.get("files", []))


def _check_writable(output: str) -> None:
    existing = output
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise UsageError(f"cannot write to --output {output}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to --output {output}: no permission in {existing}")


def _ancestors(path: str) -> list[str]:
    return [path, *([] if os.path.dirname(path) == path else _ancestors(os.path.dirname(path)))]
