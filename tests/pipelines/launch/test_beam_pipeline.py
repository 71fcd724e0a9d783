"""Beam's pipelines: each view of their options made once, and no folder left."""

import copy
import pathlib

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.launch.beam_pipeline import BeamOptions, empty_pipeline


def test_views_of_the_options_are_made_once_and_are_beam_s_own() -> None:
    flags = ["--direct_num_workers=3", "--temp_location=/somewhere", "--streaming"]
    ours, beams = BeamOptions(flags), PipelineOptions(flags)
    for view in PipelineOptions.__subclasses__():
        assert ours.view_as(view).get_all_options() == beams.view_as(view).get_all_options()
    assert ours.view_as(DirectOptions) is ours.view_as(DirectOptions)
    ours.view_as(DirectOptions).direct_num_workers = 5
    assert copy.deepcopy(ours).view_as(DirectOptions).direct_num_workers == 5
    assert BeamOptions(flags).view_as(DirectOptions).direct_num_workers == 3


def test_a_pipeline_leaves_no_folder_if_it_is_killed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """(1i)"""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipeline = empty_pipeline(["--streaming"], FnApiRunner())
    assert list(tmp_path.iterdir()) == []
    _ = pipeline | beam.Create([1])
    pipeline.run().wait_until_finish()
    assert list(tmp_path.iterdir()) == []
