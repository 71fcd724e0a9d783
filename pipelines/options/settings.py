"""The flags of one command line as typed, frozen values: all that the rest of the command sees of them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pipelines.options.given import Given
from transforms.core.spec import BUILT_IN_WEIGHTS


@dataclasses.dataclass(frozen=True)
class HowToEmbed:
    """What decides an embedding, and what computes it; each field is the flag of its name."""

    backbone: tuple[str, ...]
    backbone_kwargs: dict[str, Any]
    weights: str
    model: str
    weights_sha256: str
    trust_model: bool
    preprocess: str
    pooling: str
    include_top: bool
    classifier_activation: str
    top_k: int
    layer: str
    image_size: tuple[int, int] | None
    normalize: bool
    precision: str
    engine: str
    require_gpu: bool
    embedding_dtype: str
    batch_size: int | None
    resize: str
    central_fraction: float
    resize_filter: str
    color_profile: str

    @property
    def own_weights(self) -> str:
        """The path of the user's own weights or whole model, '' if they are built in."""
        return self.model or ("" if self.weights in BUILT_IN_WEIGHTS else self.weights)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What bounds the images that a command fetches and decodes; each field is the flag of its name."""

    max_image_bytes: int
    max_image_pixels: int
    fetch_timeout: float
    fetch_threads: int
    billing_project: str
    allow_private_hosts: bool
    allowed_prefix: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Habits:
    """What every command can be asked; each field but the last is the flag of its name.

    Attributes:
      origins: where the value of each flag comes from, see `pipelines.options.given`.
    """

    log_level: str
    log_format: str
    config: str
    show_config: bool
    version: bool

    origins: Mapping[str, str]

    @property
    def is_verbose(self) -> bool:
        """Whether tracebacks and what the libraries say are shown."""
        return self.log_level == "debug"

    @property
    def only_prints(self) -> bool:
        """Whether the command only prints what it was asked for, and runs nothing."""
        return self.show_config or self.version


@dataclasses.dataclass(frozen=True)
class Settings(HowToEmbed, Limits, Habits):
    """What a person asked for; each field but those below is the flag of its name, explained by its help.

    Attributes:
      command_line: the arguments as typed, without the command, behind those that stand for variables.
      began: when the command started, in s of time.monotonic().
    """

    input: tuple[str, ...]
    uri_column: str
    version_column: str
    output: str
    output_format: tuple[str, ...]
    vector_type: str | None
    num_shards: int | None
    shard_bytes: int

    existing: str
    remove_missing: bool
    retry: str
    recheck_http: bool
    resume: str

    max_failure_ratio: float
    dry_run: bool
    list_backbones: bool

    gpu: str | None
    gpu_count: int | None
    gpu_driver: str | None
    no_wait: bool

    command_line: tuple[str, ...]
    began: float

    @classmethod
    def of(cls, given: Given, began: float) -> "Settings":
        """Return the settings that are given."""
        repeatable = {flag: tuple(given.values[flag] or ()) for flag in ("input", "allowed_prefix")}
        values = {**given.values, **repeatable}
        return cls(**values, origins=given.origins, command_line=given.command_line, began=began)

    @property
    def only_prints(self) -> bool:
        """Whether the command only prints what it was asked for, and runs nothing."""
        return self.list_backbones or super().only_prints
