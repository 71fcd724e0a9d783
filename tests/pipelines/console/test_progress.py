"""What a person sees while a run is on."""

import pytest

from pipelines.console.progress import PLAIN_EVERY, LiveLine, Progress, progress_line, share_line
from transforms.core.counters import count, reset_tally


@pytest.mark.parametrize(
    ("counters", "seconds", "line"),
    [
        ({}, 0, "running; no counts from the workers yet"),
        ({"sources-found": 1}, 0, "reading uris: 0"),
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


def test_the_total_is_told_once_it_is_known() -> None:
    counters = {"uris-read": 400, "images-fetched": 30, "images-embedded": 20, "images-failed": 1, "sources-found": 2}
    begun = counters | {"sources-read": 1}
    assert progress_line(begun, 1, 2) == "21 of more than 400 images, 10.5 img/s, 1 failed"
    assert progress_line(begun | {"uris-read": 21}, 1, 2) == "21 of more than 21 images, 10.5 img/s, 1 failed"
    assert progress_line(counters | {"sources-read": 2}, 1, 2).startswith("21 of 400 images (5%), 10.5 img/s")
    assert progress_line(begun, 1, 2, inputs=2100).startswith("21 of 2,100 images (1%), 10.5 img/s")


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


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 1000.0
        monkeypatch.setattr("pipelines.console.progress.time.monotonic", lambda: self.now)


def test_a_plain_line_comes_each_time_that_so_many_seconds_have_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, counters = Clock(monkeypatch), {"uris-read": 100}
    with Progress(1, lambda: counters) as progress:
        clock.now += PLAIN_EVERY
        progress.update()
        # The speed is that since the first image, whenever that came.
        counters.update({"images-fetched": 1})
        clock.now += PLAIN_EVERY - 1
        progress.update()
        counters.update({"images-fetched": 40, "images-embedded": 40})
        clock.now += 10
        progress.update()
        progress.update()
    assert capsys.readouterr() == (
        "",
        "reading uris: 100\n40 of 100 images (40%), 4.0 img/s, 0 failed, 15 s left\n",
    )


def test_the_counters_are_this_processs_where_no_others_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    reset_tally()
    with Progress(1) as progress:
        count("uris-read", 7)
        clock.now += PLAIN_EVERY
        progress.update()
    assert capsys.readouterr().err == "reading uris: 7\n"


def test_on_a_terminal_the_line_is_live_and_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with Progress(1, lambda: {"uris-read": 5}) as progress:
        progress.update()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "reading uris: 5" in printed.err
    # Erases the line.
    assert printed.err.rpartition("reading uris: 5")[2].count("\x1b[2K") >= 1


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (0, 10, 3, "comparing: 0%"),
        (5, 10, 60, "comparing: 50%, 1 min 00 s left"),
        (999, 1000, 0, "comparing: 99%"),
        (10, 10, 5, "comparing: 100%, 0 s left"),
        (0, 0, 0, "comparing: 0%"),
    ],
)
def test_a_share_is_told_with_the_time_that_is_left(done: int, total: int, seconds: float, line: str) -> None:
    assert share_line("comparing", done, total, seconds) == line


def test_a_share_is_that_since_the_block_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with LiveLine() as line:
        clock.now += PLAIN_EVERY
        line.show_share("reading", 1, 4)
        line.show_share("reading", 2, 4)
    assert capsys.readouterr() == ("", "reading: 25%, 1 min 30 s left\n")
