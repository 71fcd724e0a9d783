"""Runs that end early, and those that go on from what they finished: nothing is fetched twice, nothing is lost."""

import http.server
import io
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest

from pipelines.command import main
from tests.conftest import Handler, exhaustive, sample_image
from tests.forked_runs import ForkedRuns
from tests.servers.web import Resource

LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
LIGHT += ["--engine", "tensorflow", "--allow_private_hosts"]
IMAGES = 100
AT_ONCE = 4
"""Runs that are killed at once, so that no processor waits."""
OFTEN = (
    "import sys; from transforms.write import shards; shards.PART_SECONDS = -1.0; "
    "from pipelines.command import main; sys.exit(main(sys.argv[1:]))"
)
"""A run that writes a part after each image."""


def picture(seed: int) -> bytes:
    buffer = io.BytesIO()
    sample_image(seed, 40, 30).save(buffer, "PNG")
    return buffer.getvalue()


class Web:
    """Serves images, counts what it is asked for, and calls a function once that many were asked for."""

    def __init__(self, images: int):
        self.pictures = [picture(i) for i in range(images)]
        self.asked = 0
        self.at, self.then = -1, lambda: None

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.asked += 1
        if self.asked == self.at:
            self.then()
        data = self.pictures[int(request.path.strip("/").removesuffix(".png"))]
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)


def listed(folder: pathlib.Path, site: str, images: int) -> str:
    path = folder / "list.txt"
    path.write_text("".join(f"{site}/{i}.png\n" for i in range(images)))
    return str(path)


def rows(output: pathlib.Path) -> list[str]:
    return sorted(pq.read_table(output / "parquet", columns=["uri"]).column(0).to_pylist())


def counted(output: pathlib.Path) -> tuple[dict, dict]:
    manifest = json.loads((output / "manifest.json").read_text())
    return manifest["counts"], manifest["changes"]


@pytest.mark.parametrize(
    ("number", "standing"),
    [(signal.SIGKILL, 0), (signal.SIGINT, 0), (signal.SIGKILL, 10), (signal.SIGTERM, 10)],
    ids=["KILL-first", "INT-first", "KILL-update", "TERM-update"],
)
@pytest.mark.exhaustive
def test_a_run_that_dies_at_half_and_the_one_after_it_fetch_hardly_more_than_one_run(
    standing: int, number: signal.Signals, serve: Callable[[Handler], str], tmp_path: pathlib.Path
) -> None:
    web = Web(IMAGES + standing)
    site = serve(web)
    argv = ["--output", str(tmp_path / "out"), *LIGHT, "--batch_size=2", "--fetch_threads=1"]
    if standing:
        before = ["--input", listed(tmp_path, site, standing), *argv]
        # In a process of its own, since this one would ignore signals afterwards, and what it starts, too.
        assert subprocess.run([sys.executable, "-c", OFTEN, *before], capture_output=True).returncode == 0
        web.asked = 0
        argv += ["--existing=update", "--recheck_http=false"]
    argv += ["--input", listed(tmp_path, site, IMAGES + standing)]
    first = subprocess.Popen([sys.executable, "-c", OFTEN, *argv], stderr=subprocess.PIPE, text=True)
    web.at, web.then = IMAGES // 2, lambda: first.send_signal(number)
    _, said = first.communicate(timeout=300)
    assert first.returncode != 0
    if number != signal.SIGKILL:
        assert "what it finished is kept, and the same command goes on from there; to go on:" in said
    assert len(rows(tmp_path / "out")) == standing if standing else not (tmp_path / "out" / "manifest.json").exists()
    assert main(argv) == 0
    assert len(rows(tmp_path / "out")) == IMAGES + standing
    counts, changes = counted(tmp_path / "out")
    of = {"inputs": IMAGES + standing, "embedded": IMAGES, "failed": 0, "skipped": standing, "duplicates": 0}
    assert counts == of
    assert changes["taken_over"] >= IMAGES // 2 - 6
    print(f"{web.asked} requests for {IMAGES} images, {changes['taken_over']} taken over")
    assert web.asked <= 1.1 * IMAGES
    assert not list((tmp_path / "out").glob(".run-*"))


def changed_folder(root: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Return two folders of images: one as it was, and one in which some are new, changed, gone, broken or healed."""
    before, after = root / "before", root / "after"
    for folder in (before, after):
        folder.mkdir()
        for i in range(5):
            (folder / f"{i}.png").write_bytes(picture(i))
        (folder / "broken.png").write_bytes(b"no picture")
    (after / "0.png").write_bytes(picture(10))
    (after / "1.png").unlink()
    (after / "2.png").write_bytes(b"broken now")
    (after / "new.png").write_bytes(picture(11))
    (after / "broken.png").write_bytes(picture(12))
    return before, after


def update(folder: pathlib.Path, output: pathlib.Path, format_: str) -> list[str]:
    flags = [*LIGHT, "--existing=update", "--remove_missing", f"--output_format={format_}", "--batch_size=1"]
    return ["--input", str(folder), "--output", str(output), *flags]


AFTER = {"0.png", "2.png", "3.png", "4.png", "new.png", "broken.png"}
"""Rows after the update; that of 2.png is the old one, since the new image is broken."""


def state(output: pathlib.Path, format_: str) -> str:
    """Return whether a collection is the old one or the new one, after reading all that its manifest names."""
    manifest = json.loads((output / "manifest.json").read_text())
    for file in manifest["files"]:
        assert (output / file["name"]).stat().st_size == file["bytes"]
    if format_ == "parquet":
        names = [file["name"] for file in manifest["files"] if file["name"].startswith("parquet/")]
        found = [uri.rsplit("/", 1)[1] for name in names for uri in pq.read_table(output / name)["uri"].to_pylist()]
        assert len(found) == len(set(found)) == manifest["collection"]["rows"]
        assert set(found) in (AFTER, {f"{i}.png" for i in range(5)})
    return "new" if manifest["collection"]["rows"] == len(AFTER) else "old"


@pytest.fixture
def standing(request: pytest.FixtureRequest, forked: ForkedRuns, tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with a collection, `out`, of the images that were in `images`, in which some have changed since."""
    changed_folder(tmp_path)
    shutil.copytree(tmp_path / "before", tmp_path / "images")
    assert forked({"argv": update(tmp_path / "images", tmp_path / "out", request.param)}) == [(0, "")]
    shutil.rmtree(tmp_path / "images")
    shutil.copytree(tmp_path / "after", tmp_path / "images")
    return tmp_path


def killed(forked: ForkedRuns, root: pathlib.Path, format_: str, *numbers: int) -> list[bool]:
    """Kill updates at their n-th change, look at the collections, and update them again; return which were killed."""
    outputs = {n: root / f"out-{n}" for n in numbers}
    argv = {n: update(root / "images", output, format_) for n, output in outputs.items()}
    for output in outputs.values():
        shutil.copytree(root / "out", output)
    ends = forked(*({"argv": argv[n], "kill_at": n, "below": str(outputs[n])} for n in numbers))
    for (code, said), output in zip(ends, outputs.values(), strict=True):
        assert code in (0, -9), said
        assert state(output, format_) in (("new",) if code == 0 else ("old", "new"))
    assert forked(*({"argv": argv[n]} for n in numbers)) == [(0, "")] * len(numbers)
    for output in outputs.values():
        assert state(output, format_) == "new"
        named = {file["name"] for file in json.loads((output / "manifest.json").read_text())["files"]}
        there = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
        assert there - {"manifest.json", "tfrecord/features.json"} == named
        shutil.rmtree(output)
    return [code == -9 for code, _ in ends]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("standing", "format_", "step"), [("parquet", "parquet", 1), ("tfrecord", "tfrecord", 3)], indirect=["standing"]
)
def test_an_update_that_is_killed_anywhere_leaves_the_old_collection_or_the_new_one(
    forked: ForkedRuns, standing: pathlib.Path, format_: str, step: int
) -> None:
    """At each point with Parquet, at each third one with TFRecord."""
    points = 0
    for first in itertools.count(1, step * AT_ONCE):
        ends = killed(forked, standing, format_, *range(first, first + step * AT_ONCE, step))
        points += sum(ends)
        if not all(ends):
            break
    print(f"{points} points, 0 torn")
    assert points > 30 // step


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"etag": '"1"'}, "If-None-Match"),
        *exhaustive(({"last_modified": "Sun, 29 Nov 2026 10:00:00 GMT"}, "If-Modified-Since")),
    ],
    ids=["etag", "last-modified"],
)
def test_servers_are_asked_whether_an_image_has_changed(
    headers: dict[str, str], asked: str, serve: Callable[[Handler], str], tmp_path: pathlib.Path
) -> None:
    resource = Resource(picture(1), **headers)
    argv = ["--input", f"{serve(resource)}/a.png", "--output", str(tmp_path / "out"), *LIGHT, "--existing=update"]
    for _ in range(2):
        assert main(argv) == 0
    assert [list(conditions) for conditions in resource.conditions] == [[], [asked]]
    assert counted(tmp_path / "out")[0]["skipped"] == 1
    assert main([*argv, "--recheck_http=false"]) == 0
    assert len(resource.conditions) == 2
    resource.body, resource.etag, resource.last_modified = picture(2), '"2"', "Sun, 29 Nov 2026 11:00:00 GMT"
    assert main(argv) == 0
    counts, changes = counted(tmp_path / "out")
    assert (counts["embedded"], counts["skipped"], changes["changed"]) == (1, 0, 1)


def test_an_image_of_a_server_that_tells_no_version_is_fetched_and_skipped_if_its_bytes_are_the_same(
    serve: Callable[[Handler], str], tmp_path: pathlib.Path
) -> None:
    resource = Resource(picture(1))
    argv = ["--input", f"{serve(resource)}/a.png", "--output", str(tmp_path / "out"), *LIGHT, "--existing=update"]
    for _ in range(2):
        assert main(argv) == 0
    assert len(resource.conditions) == 2
    assert counted(tmp_path / "out")[0] == {"inputs": 1, "embedded": 0, "failed": 0, "skipped": 1, "duplicates": 0}


def parts_of(run: str, output: pathlib.Path, images: pathlib.Path, owner: dict) -> None:
    """Make of a finished collection what a run leaves that ends early: its rows as a part, and its claim."""
    assert main(["--input", str(images), "--output", str(output), *LIGHT]) == 0
    (shard,) = (output / "parquet").iterdir()
    scratch = output / f".run-{run}"
    scratch.mkdir()
    shard.rename(scratch / "0123.parquet")
    manifest = json.loads((output / "manifest.json").read_text())
    owner["fingerprint"] = manifest["embedding_spec_fingerprint"]
    (scratch / "owner.json").write_text(json.dumps(owner))
    (output / "manifest.json").unlink()


ELSEWHERE = {"lapses_after": 864_000}
"""The claim of a job on other machines, of which nobody here knows whether it has ended."""


def test_a_job_elsewhere_is_resumed_by_name_once_it_has_not_written_for_an_hour(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    parts_of("THEIRS", output, photos, dict(ELSEWHERE))
    argv = ["--input", str(photos), "--output", str(output), *LIGHT]
    capsys.readouterr()
    assert main([*argv, "--resume=THEIRS"]) == 2
    assert "--resume THEIRS: that run wrote or renewed its claim lately; end it, or wait an hour" in (
        capsys.readouterr().err
    )
    assert main([*argv, "--resume=NONE"]) == 2
    assert "--resume NONE: there are no finished parts of such a run" in capsys.readouterr().err
    assert main([*argv, "--resume=THEIRS", "--normalize"]) == 2
    for path in (output / ".run-THEIRS").iterdir():
        old = time.time() - 4000

        os.utime(path, (old, old))
    assert main([*argv, "--resume=THEIRS"]) == 0
    counts, changes = counted(output)
    assert (counts["embedded"], changes["taken_over"]) == (10, 10)
    assert not (output / ".run-THEIRS").exists()


def test_what_a_run_of_another_spec_finished_is_not_taken_over_and_stays_for_a_while(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    parts_of("OTHER", output, photos, {"ended": True})
    assert main(["--input", str(photos), "--output", str(output), *LIGHT, "--normalize"]) == 0
    assert counted(output)[1]["taken_over"] == 0
    assert (output / ".run-OTHER" / "0123.parquet").exists()
    assert main(["--input", str(photos), "--output", str(output), *LIGHT, "--existing=replace"]) == 0
    assert not (output / ".run-OTHER").exists()


@pytest.mark.exhaustive
def test_a_part_of_which_images_have_changed_meanwhile_gives_only_the_others(
    photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    parts_of("MINE", output, photos, {"ended": True})
    changed = photos / "a" / "1.jpg"
    changed.write_bytes(picture(50))
    assert main(["--input", str(photos), "--output", str(output), *LIGHT]) == 0
    counts, changes = counted(output)
    assert (counts["embedded"], changes["taken_over"]) == (10, 9)
    assert len(rows(output)) == 10
