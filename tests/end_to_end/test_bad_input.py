"""Each mistake a person can make: one line on stderr that says what to do, exit code 2, nothing written."""

import json
import os
import pathlib
import subprocess
import sys

import h5py
import pytest

from pipelines.command import main
from tests.conftest import sample_image


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must be refused; return its one line."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("embed-images: ")
    assert printed.err.count("\n") == 1, printed.err
    return printed.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--input is missing"),
        (["--input", "{photos}"], "--output is missing"),
        (["--input", "{photos}/*.gif", "--output", "{out}"], "nothing matches --input {photos}/*.gif"),
        (["--input", "{photos}/none.jpg", "--output", "{out}"], "nothing matches --input {photos}/none.jpg"),
        (["--input", "{photos}", "--output", "{out}", "--backbone", "MobilNetV2"], "did you mean 'MobileNetV2'"),
        (["--input", "{photos}", "--output", "{out}", "--backbone", "ResNet"], "ResNet50"),
        (["--input", "{photos}", "--output", "{out}", "--top_k", "5"], "add --include_top"),
        (["--input", "{photos}", "--output", "{out}", "--top_k", "0"], "at least 1"),
        (["--input", "{photos}", "--output", "{out}", "--pooling", "mean"], "--pooling"),
        (["--input", "{photos}", "--output", "{out}", "--batchsize", "8"], "did you mean '--batch_size'"),
        (["--input", "{photos}", "--output", "{out}", "--backbone_kwargs", "alpha=1"], '{{"alpha": 0.25}}'),
        (["--input", "{photos}", "--output", "{out}", "--image_size", "0"], "224"),
        (["--input", "{photos}", "--output", "{out}", "--output_format", "csv"], "parquet, tfrecord"),
        (["--input", "{photos}", "--output", "{photos}/b"], "lies in an --input folder"),
        (["--input", "{photos}", "--output", "{photos}/b/8.jpg/x"], "choose another"),
        (["--input", "{photos}/a", "--output", "{photos}/b/8.jpg"], "not a folder"),
        (["--input", "{photos}/a", "--output", "/proc/nowhere"], "cannot write to --output /proc/nowhere"),
        (["--input", "{photos}", "--output", "{out}", "--weights", "/no/such.weights.h5"], "/no/such.weights.h5"),
        (["--input", "{photos}", "--output", "{out}", "--weights_sha256", "00"], "--weights_sha256"),
        (["--input", "ftp://example.org/x.jpg", "--output", "{out}"], "ftp"),
        (["--input", "htp://example.org/x.jpg", "--output", "{out}"], "did you mean 'http'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_has_one_line(
    arguments: list[str], says: str, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    filled = [argument.format(photos=photos, out=out) for argument in arguments]
    if "--weights" not in filled:
        filled += ["--weights", "random"] if "--weights_sha256" not in filled else []
    assert says.format(photos=photos, out=out) in refused(capsys, *filled)
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"url,label\na.jpg,1\n", "did you mean"),
        ("x.csv", b"", "no rows"),
        ("x.csv", b"uri,label\n", "no rows"),
        ("x.txt", b"\n# only a comment\n", "no rows"),
        ("x.jsonl", b"{broken\n", "no row that can be read"),
        ("x.parquet", b"PAR1" + bytes(100) + b"PAR1", "cannot read the uri list"),
        ("x.parquet", b"", "cannot read the uri list"),
        ("x.csv.gz", b"\x1f\x8b\x08\x00cut", "cannot read the uri list"),
    ],
)
def test_a_uri_list_that_is_none_has_one_line(
    name: str, content: bytes, says: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    line = refused(capsys, "--input", tmp_path / name, "--output", tmp_path / "out", "--weights", "random")
    assert says in line
    assert name in line
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_name_the_layer(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    weights = tmp_path / "narrow.weights.h5"
    keras.applications.MobileNet(weights=None, include_top=False, alpha=0.25, input_shape=(32, 32, 3)).save_weights(
        weights
    )
    arguments = ["--input", photos, "--output", tmp_path / "out", "--backbone", "MobileNet", "--weights", weights]
    line = refused(capsys, *arguments)
    assert "conv1" in line
    assert "(3, 3, 3, 8)" in line
    assert "(3, 3, 3, 32)" in line
    assert "not the --weights_sha256" in refused(capsys, *arguments, "--weights_sha256", "0" * 64)


def test_a_file_that_holds_no_weights_is_refused(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = [1, 2, 3]
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("other.h5", "text.h5"):
        assert name in refused(capsys, "--input", photos, "--output", tmp_path / "out", "--weights", tmp_path / name)


def test_a_finished_run_is_not_overwritten_unasked(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--input", photos, "--output", tmp_path / "out", "--weights", "random", "--image_size", 32]
    assert main([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    assert "holds a collection; add --existing update" in refused(capsys, *arguments)


def everything_below(folder: pathlib.Path) -> dict[str, tuple[int, bytes]]:
    """Return each entry of a folder with its time of change and, for a file, its content."""
    entries = [folder, *folder.rglob("*")]
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in entries}


@pytest.mark.parametrize("lost_all", [False, True])
def test_the_flat_output_of_an_older_version_is_refused_and_not_touched(
    lost_all: bool, photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "bad.jpg").write_bytes(b"bad")
    output = tmp_path / "out"
    arguments = ["--input", photos / "bad.jpg" if lost_all else photos, "--output", output, "--weights", "random"]
    arguments += ["--image_size", "32", "--output_format", "parquet,tfrecord"]
    assert main([str(argument) for argument in arguments]) == (3 if lost_all else 0)
    capsys.readouterr()
    # An older version had the same files under the same names, all of them beside the manifest.
    manifest = json.loads((output / "manifest.json").read_text())
    manifest["files"] = [{**file, "name": pathlib.Path(file["name"]).name} for file in manifest["files"]]
    (output / "manifest.json").write_text(json.dumps(manifest))
    for folder in ("parquet", "tfrecord", "failures"):
        for file in (output / folder).glob("*"):
            file.rename(output / file.name)
        if (output / folder).exists():
            (output / folder).rmdir()
    before = everything_below(output)
    for flags in ([], ["--existing=replace"], ["--existing=replace", "--dry_run"]):
        line = refused(capsys, *arguments, *flags)
        assert f"--output {output} holds a run of an older version, with all files in one folder; choose" in line
        assert everything_below(output) == before


def test_imagenet_weights_that_cannot_be_had_name_both_ways_out(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    # Nothing listens where the proxy should be, so that no machine reaches the weights.
    environment = {**os.environ, "KERAS_HOME": str(tmp_path / "keras"), "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "pipelines.command", "--input", photos, "--output", tmp_path / "out"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    *progress, line = result.stderr.splitlines()
    assert [text for text in progress if text and not text.startswith("Downloading data from")] == []
    assert "--weights random or --weights FILE" in line
    assert not (tmp_path / "out").exists()


def test_odd_uris_are_found_as_they_are_written(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    names = ["a b.jpg", "50%.jpg", "%20.jpg", "#1.jpg", "ä ö ü.jpg", "a[1].jpg", "what?.jpg", "star*.jpg", "图.jpg"]
    folder = tmp_path / "odd"
    folder.mkdir()
    for seed, name in enumerate(names):
        sample_image(seed).save(folder / name, "JPEG")
    (folder / "list.txt").write_text("\n".join(f"./{name}" for name in names), encoding="utf-8")
    flags = ["--weights", "random", "--image_size", "32"]
    for source in (folder, folder / "list.txt"):
        output = tmp_path / f"out-{source.name}"
        assert main(["--input", str(source), "--output", str(output), *flags]) == 0
        counts = json.loads((output / "manifest.json").read_text())["counts"]
        lost = 1 if source == folder else 0
        assert (counts["embedded"], counts["failed"]) == (len(names), lost)
