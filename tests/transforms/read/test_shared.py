"""A worker that does not share the folders of a run fails before it works, and names what it misses."""

import pathlib

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.conftest import sample_image
from transforms import ReadImageUris
from transforms.core.errors import RunError
from transforms.read.shared import MustSee, check_seen


def test_what_is_there_or_in_a_bucket_is_seen(tmp_path: pathlib.Path) -> None:
    check_seen([])
    check_seen([str(tmp_path), tmp_path.as_uri(), "gs://bucket/out/.run-RUN/owner.json"])


@pytest.mark.parametrize("uri", [False, True])
def test_what_is_not_there_is_named(uri: bool, tmp_path: pathlib.Path) -> None:
    missing = tmp_path / "a b"
    path = missing.as_uri() if uri else str(missing)
    with pytest.raises(RunError, match=rf"^a worker on \S+ does not share {path}: give a folder that all workers see"):
        check_seen([str(tmp_path), path])


@pytest.mark.parametrize("pattern", ["*.jpg", "im*.jpg", "**", "a/i*.jpg", "?/image.jpg", "im[a]ge.jpg"])
def test_the_folders_that_are_read_are_there_whatever_their_glob_begins_with(
    pattern: str, tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "[x]"
    for name in ("image.jpg", "a/image.jpg", "list.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("image.jpg\n")
    uris = ReadImageUris([f"{tmp_path}/[[]x]/{pattern}", str(folder / "list.txt"), str(folder / "image.jpg")])
    assert uris.folders == (f"{folder}/a/" if pattern.startswith("a/") else f"{folder}/", str(folder / "list.txt"))
    check_seen(uris.folders)


def test_several_workers_look_before_they_read_and_before_they_pass_anything_on(tmp_path: pathlib.Path) -> None:
    sample_image(1).save(tmp_path / "1.jpg")
    uris = ReadImageUris([str(tmp_path)])
    assert uris.folders == (f"{tmp_path}/",)
    uris.must_see = (*uris.folders, str(tmp_path / "1.jpg"))
    with beam.Pipeline(FnApiRunner()) as root:
        found = (root | uris).uris | beam.Map(lambda one: one.uri)
        assert_that(found, equal_to([str(tmp_path / "1.jpg")]))
    steps = {t.unique_name for t in root.to_runner_api().components.transforms.values()}
    assert {"ReadImageUris/Probe", "ReadImageUris/ProbeAgain"} <= steps
    with pytest.raises(RunError, match=r"does not share .*/2\.jpg"):
        MustSee([*uris.must_see, str(tmp_path / "2.jpg")]).setup()
