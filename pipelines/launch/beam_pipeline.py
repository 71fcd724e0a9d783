"""Beam's pipelines, with options that are parsed once."""

import contextlib
import functools
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from transforms.storage.gcs import BILLING_PROJECT, PAYS


class BeamOptions(PipelineOptions):  # type: ignore[misc]
    """Beam's options with each view parsed once: Beam takes several views at every step of building."""

    view_as = functools.cache(PipelineOptions.view_as)

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(f"--{BILLING_PROJECT}", default="")


def billed(project: str, beam_args: Sequence[str]) -> list[str]:
    """Let a Google project pay for the requests of this process; return Beam's flags with which workers do so too."""
    os.environ[PAYS] = project
    return [*beam_args, f"--{BILLING_PROJECT}={project}"]


def empty_pipeline(beam_args: Sequence[str], runner: Any = None) -> beam.Pipeline:
    """Return a pipeline without the folder that Beam makes for steps in other languages: a killed run would leave it.

    Args:
      beam_args: flags for Beam.
      runner: the runner; None leaves the choice to the flags.
    """
    pipeline = beam.Pipeline(runner=runner, options=BeamOptions(list(beam_args)))
    with contextlib.suppress(OSError):
        os.rmdir(pipeline.local_tempdir)
    return pipeline
