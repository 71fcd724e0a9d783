"""Beam's options, each view of them made once."""

import copy

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.launch.beam_options import BeamOptions


def test_views_of_the_options_are_made_once_and_are_beam_s_own() -> None:
    flags = ["--direct_num_workers=3", "--temp_location=/somewhere", "--streaming"]
    ours, beams = BeamOptions(flags), PipelineOptions(flags)
    for view in PipelineOptions.__subclasses__():
        assert ours.view_as(view).get_all_options() == beams.view_as(view).get_all_options()
    assert ours.view_as(DirectOptions) is ours.view_as(DirectOptions)
    ours.view_as(DirectOptions).direct_num_workers = 5
    assert copy.deepcopy(ours).view_as(DirectOptions).direct_num_workers == 5
    assert BeamOptions(flags).view_as(DirectOptions).direct_num_workers == 3
