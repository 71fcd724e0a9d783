"""Beam's options, parsed once."""

import functools

from apache_beam.options.pipeline_options import PipelineOptions


class BeamOptions(PipelineOptions):  # type: ignore[misc]
    """Beam's options with each view parsed once: Beam takes several views at every step of building."""

    view_as = functools.cache(PipelineOptions.view_as)
