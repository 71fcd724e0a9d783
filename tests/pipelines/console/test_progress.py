"""What a person sees while a run is on."""

import pytest

from pipelines.console.progress import Progress, progress_line


@pytest.mark.parametrize(
    ("counters", "seconds", "line"),
    [
        ({}, 0, "reading uris: 0"),
        ({"uris-read": 12_345}, 0, "reading uris: 12,345"),
        (
            {"uris-read": 1000, "images-fetched": 300, "images-embedded": 240, "images-failed": 10},
            25,
            "250 of 1,000 images (25%), 10.0 img/s, 10 failed, 1 min 15 s left",
        ),
        (
            {"uris-read": 100_000, "images-fetched": 100, "images-embedded": 90, "uris-repeated": 10},
            10,
            "100 of 100,000 images (0%), 10.0 img/s, 0 failed, 2 h 46 min left",
        ),
        ({"uris-read": 10, "images-failed": 5}, 1, "5 of 10 images (50%), 5.0 img/s, 5 failed"),
        ({"uris-read": 10, "images-fetched": 10, "images-embedded": 10}, 1, "writing: 10 images done, 0 files written"),
    ],
)
def test_a_line_says_how_far_the_run_is(counters: dict[str, int], seconds: float, line: str) -> None:
    assert progress_line(counters, 1, seconds) == line


def test_an_image_is_done_when_every_backbone_has_embedded_it() -> None:
    counters = {"uris-read": 100, "images-fetched": 100, "images-embedded": 100}
    assert progress_line(counters, 2, 10).startswith("50 of 100 images (50%)")


def test_it_is_never_all_before_the_files_are_written() -> None:
    for done in range(1001):
        line = progress_line({"uris-read": 1000, "images-fetched": 1000, "images-embedded": done}, 1, 1)
        assert "100%" not in line


def test_nothing_is_printed_at_once_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(1) as progress:
        progress.update()
    assert capsys.readouterr() == ("", "")
