"""What a person reads of an image, on each storage, and the picture; against what a run wrote."""

import pathlib
import re
import shutil
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest

from pipelines.command import main as embed_images
from pipelines.explain.explain_image import run
from pipelines.options.commands.explain import parse
from tests.conftest import answer, exhaustive
from tests.pipelines.conftest import LIGHT, files_in
from tests.pipelines.similar.conftest import Made
from tests.servers.gcs import GcsServer
from transforms.core.errors import UsageError
from transforms.core.failures import REASONS
from transforms.decode.decoder import decode_image


def explained(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code, and what is said of each stage and thing, without the times."""
    code = run(parse(["--input", *map(str, arguments)], {}))
    uri, *lines = capsys.readouterr().out.splitlines()
    said: dict[str, list[str]] = {"uri": [uri]}
    name = ""
    for line in lines:
        name = line[2:12].strip() or name
        said.setdefault(name, []).append(re.sub(r"^ *[\d,]+\.\d ms  ", "", line[12:]).strip())
    return code, said


def test_an_image_is_explained_from_its_bytes_to_its_vector(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    path = made.photos / "large.jpg"
    code, said = explained(capsys, path, *LIGHT, "--out", tmp_path / "seen.png")
    assert code == 0
    assert list(said) == ["uri", "fetch", "decode", "load", "embed", "vector", "picture"]
    assert said["uri"] == [str(path)]
    assert said["fetch"][0].startswith(f"{path.stat().st_size:,} bytes, version mtime:{path.stat().st_mtime_ns},")
    assert said["decode"] == [
        "JPEG of 640 x 480 px, mode RGB",
        "decoded at 160 x 120 px, reduced by its own transform",
        "turned to 120 x 160 px, EXIF orientation 6",
        "crop to 32 x 32 px, bilinear",
    ]
    assert said["load"][0] == "MobileNet, random weights, output avg, in float32"
    norm = float(np.linalg.norm(made.vectors[str(path)]))
    assert said["vector"][0].startswith(f"norm {norm:.4g}"[:9])
    assert said["picture"] == [f"{tmp_path}/seen.png, as the backbone sees it"]


def test_the_picture_is_the_pixels_that_are_embedded(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    path = made.photos / "0.jpg"
    explained(capsys, path, *LIGHT, "--resize=pad", "--out", tmp_path / "seen.png")
    _, by_size = decode_image(path.read_bytes(), [(32, 32)], "pad")
    with PIL.Image.open(tmp_path / "seen.png") as image:
        np.testing.assert_array_equal(np.asarray(image), by_size[32, 32])


def test_classes_are_named(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    kwargs = ["--backbone_kwargs", '{"classes": 5}', "--include_top", "--top_k=3"]
    _, said = explained(capsys, made.photos / "0.jpg", *LIGHT, *kwargs)
    scores = [float(line.split()[0]) for line in said["classes"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert all(re.fullmatch(r"0\.\d{4}  \d \(\d\)", line) for line in said["classes"])


@pytest.mark.parametrize(
    ("name", "stage", "first", "reason"),
    [
        ("notes.jpg", "decode", "failed: not_an_image (permanent)", "not_an_image"),
        ("short.jpg", "decode", "JPEG of 320 x 240 px, mode RGB", "truncated"),
        ("gone.jpg", "fetch", "failed: not_found (permanent)", "not_found"),
    ],
)
def test_a_lost_image_is_told_with_its_stage_and_its_reason(
    name: str,
    stage: str,
    first: str,
    reason: str,
    made: Made,
    capsys: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
) -> None:
    code, said = explained(capsys, made.photos / name, *LIGHT, "--out", tmp_path / "seen.png")
    assert code == 3
    assert list(said)[-2:] == [stage, "picture"]
    assert said[stage][0].startswith(first)
    assert said[stage][-2].startswith(f"failed: {reason} (permanent), ")
    assert said[stage][-1] == f"which means: {REASONS[reason]}"
    assert said["picture"] == ["none: it is not decoded"]
    assert files_in(tmp_path) == []


def test_a_row_of_a_collection_is_what_comes_out_now(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(made.photos / "large.jpg")
    code, said = explained(capsys, path, "--embeddings", made.folder, "--top=2", "--engine=tensorflow")
    assert code == 0
    assert said["stands"][0] == "a row: JPEG of 480 x 640 px"
    assert said["stands"][1].startswith("it agrees with what comes out now: cosine 1.0000")
    near = sorted(((made.cosine(path, other), other) for other in made.vectors if other != path), reverse=True)[:2]
    assert [line.split() for line in said["nearest"]] == [[f"{cosine:.4f}", other] for cosine, other in near]


def test_a_failure_of_a_collection_is_what_comes_out_now(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = explained(capsys, made.photos / "notes.jpg", "--embeddings", made.folder)
    assert code == 3
    assert said["stands"] == ["a failure, as it comes out now: decode, not_an_image (permanent)"]
    assert "nearest" not in said


def test_an_image_that_has_changed_since_is_told_from_its_row(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    """Two photos change places, and one is mended."""
    photos = tmp_path / "photos"
    shutil.copytree(made.photos, photos)
    folder = tmp_path / "out"
    assert embed_images(["--input", str(photos), "--output", str(folder), *LIGHT]) == 0
    shutil.copy(photos / "1.jpg", photos / "0.jpg")
    shutil.copy(photos / "1.jpg", photos / "notes.jpg")
    capsys.readouterr()
    _, said = explained(capsys, photos / "0.jpg", "--embeddings", folder)
    assert said["stands"][1] == "it is of other bytes: the image has changed since"
    assert said["stands"][2].startswith("it differs from what comes out now: cosine 0.")
    code, said = explained(capsys, photos / "notes.jpg", "--embeddings", folder)
    assert code == 0
    assert said["stands"] == ["a failure, and not what comes out now: decode, not_an_image (permanent)"]
    _, said = explained(capsys, made.photos / "0.jpg", "--embeddings", folder)
    assert said["stands"][0].startswith("neither a row nor a failure")


def test_an_image_behind_http_is_explained_and_so_is_an_error_of_its_server(
    made: Made, serve: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    body = (made.photos / "0.jpg").read_bytes()
    there = serve(lambda request: answer(request, 200, body, ETag='"abc"'))
    code, said = explained(capsys, f"{there}/a.jpg", *LIGHT, "--allow_private_hosts")
    assert code == 0
    assert said["fetch"] == [f'{len(body):,} bytes, version etag:"abc"']
    gone = serve(lambda request: answer(request, 404))
    code, said = explained(capsys, f"{gone}/a.jpg", *LIGHT, "--allow_private_hosts")
    assert code == 3
    assert said["fetch"][0] == "failed: http_404 (permanent), HTTPError: the server answered 404 Not Found"
    code, said = explained(capsys, f"{gone}/a.jpg", *LIGHT)
    assert said["fetch"][0].startswith("failed: forbidden_address (permanent)")


def test_an_object_is_explained(made: Made, gcs: GcsServer, capsys: pytest.CaptureFixture[str]) -> None:
    body = (made.photos / "0.jpg").read_bytes()
    uri = gcs.put("a.jpg", body)
    code, said = explained(capsys, uri, *LIGHT)
    assert code == 0
    assert said["fetch"][0].startswith(f"{len(body):,} bytes, version generation:")


def test_what_a_folder_would_leave_out_is_said(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "clip.mov").write_bytes(b"\0\0\0\x14ftypqt  ")
    code, said = explained(capsys, tmp_path / "clip.mov", *LIGHT)
    assert code == 3
    assert said["read"] == ["of a folder it would not be fetched: .mov files are no images"]
    assert "a video" in said["decode"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{photos}"], "is a folder; name one of its images"),
        (["{photos}/*.jpg"], "is a glob; name one of its images"),
        (["list.csv"], "--input list.csv is a uri list; name one of its images"),
        (["photos.zip"], "--input photos.zip is an archive; unpack it, and name the folder"),
        (["https://drive.google.com/file/d/1/view"], ": a page of Google Drive or Photos, not an image"),
        (["{photos}/0.jpg", "--out", "http://a/b.png"], "nothing here writes to http://; choose a local path or gs://"),
        (["{photos}/0.jpg", "--out", "{photos}/1.jpg/b.png"], "cannot write --out {photos}/1.jpg/b.png: "),
        (["{photos}/own.png", "--out", "{photos}/x/../own.png"], "is the image itself, which would be replaced"),
        (["{photos}/0.jpg", "--embeddings", "{photos}"], "there is no collection in --embeddings {photos}"),
        (["{photos}/0.jpg", "--backbone", "MobilNet"], "unknown backbone 'MobilNet' (did you mean 'MobileNet'?)"),
        (["{photos}/0.jpg", "--weights", "{photos}/gone.h5"], "there is no weights file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    arguments: list[str], says: str, made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [] if "--embeddings" in arguments else [flag for flag in LIGHT if "--weights" not in arguments]
    with pytest.raises(UsageError) as error:
        # What is given last counts.
        run(
            parse(
                ["--input", *[one.format(photos=made.photos) for one in [*arguments[:1], *flags, *arguments[1:]]]], {}
            )
        )
    assert says.format(photos=made.photos) in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_a_name_with_brackets_is_a_file(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    copy = shutil.copy(made.photos / "0.jpg", tmp_path / "a[1].jpg")
    assert explained(capsys, copy, *LIGHT)[0] == 0


@pytest.mark.parametrize("name", exhaustive("orientation", "hopper"))
def test_every_awkward_file_is_explained(
    name: str, test_data: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((test_data / "awkward").rglob(f"*{name}*")):
        if path.is_file():
            code, said = explained(capsys, path, *LIGHT)
            assert (code == 0) == ("vector" in said), path
