"""What resembles what, end to end: photos that were saved again, on every storage, on other runners."""

import itertools
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from pipelines.command import main as embed_images
from pipelines.similar.command import main as similar_images
from tests.conftest import sample_image
from tests.end_to_end.test_runners import pool as worker_pool
from tests.end_to_end.test_runners import prism, server
from tests.servers.gcs import GcsServer

__all__ = ["prism", "server"]

ROOT = pathlib.Path(__file__).parents[2]
LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
ABOVE = 0.9


def embed(images: Any, output: Any, *flags: str) -> None:
    assert embed_images(["--input", str(images), "--output", str(output), *LIGHT, *flags]) == 0


def by_hand(output: pathlib.Path, above: float) -> dict[tuple[str, str], float]:
    """The pairs of a collection, by two loops in float64 over what Arrow reads."""
    table = pq.read_table(output / "parquet")
    vectors = {
        uri: np.array(v, np.float64)
        for uri, v in zip(*(table[n].to_pylist() for n in ("uri", "embedding")), strict=True)
    }
    found = {}
    for a, b in itertools.combinations(sorted(vectors), 2):
        x, y = vectors[a], vectors[b]
        cosine = float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))
        if cosine >= above:
            found[a, b] = cosine
    return found


def pairs_in(path: pathlib.Path) -> dict[tuple[str, str], float]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = {(row["uri_a"], row["uri_b"]): row["cosine"] for row in rows}
    assert len(found) == len(rows)
    return found


def assert_same(found: dict[tuple[str, str], float], expected: dict[tuple[str, str], float]) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), atol=1e-6)


@pytest.fixture
def images(tmp_path: pathlib.Path) -> pathlib.Path:
    """Twelve sample images, three of them saved once more."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(12):
        sample_image(i).save(folder / f"{i:02d}.jpg", quality=92)
        if i < 3:
            sample_image(i).save(folder / f"{i:02d}_again.jpg", quality=70)
    return folder


@pytest.mark.exhaustive
@pytest.mark.parametrize("format_", ["parquet", "tfrecord"])
def test_a_collection_in_a_bucket_is_searched_and_written_beside(
    format_: str, gcs: GcsServer, images: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embed(images, tmp_path / "local")
    gcs.put_folder(images, "images")
    folder = f"gs://{gcs.bucket}"
    embed(f"{folder}/images", f"{folder}/out", "--output_format", format_)
    expected = {
        tuple(f"{folder}/images/{pathlib.Path(uri).name}" for uri in pair): cosine
        for pair, cosine in by_hand(tmp_path / "local", ABOVE).items()
    }
    assert len(expected) >= 3
    here = ["--embeddings", f"{folder}/out"]
    for runner in ([], ["--runner=direct"]):
        flags = [*here, "--pairs", "--above", str(ABOVE), "--out", f"{folder}/found/pairs.jsonl", *runner]
        assert similar_images(flags) == 0
        (tmp_path / "pairs.jsonl").write_bytes(gcs.get("found/pairs.jsonl"))
        assert_same(pairs_in(tmp_path / "pairs.jsonl"), expected)
    assert gcs.names("found/") == ["found/pairs.jsonl"]
    capsys.readouterr()
    page = f"{folder}/found/page.html"
    assert (
        similar_images([*here, "--to", str(images / "00.jpg"), "--to", f"{folder}/images/01.jpg", "--out", page]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [str(images / "00.jpg"), f"   1.0000  {folder}/images/00.jpg"]
    assert gcs.get("found/page.html").count(b'src="data:image/jpeg') == 22


def test_photos_that_were_saved_again_are_found(test_data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With ImageNet weights, which tell photos apart: Keras reads KERAS_HOME at its import."""
    photos = sorted((test_data / "photos").iterdir())[:24]
    (tmp_path / "photos").mkdir()
    for i, path in enumerate(photos):
        photo = PIL.Image.open(path).convert("RGB")
        photo.save(tmp_path / "photos" / f"{i:02d}.jpg", quality=95)
        if i < 4:
            photo.resize((photo.width * 2 // 3, photo.height * 2 // 3)).save(tmp_path / "photos" / f"{i:02d}_small.png")
    PIL.Image.open(photos[0]).convert("RGB").save(tmp_path / "asked.webp", quality=90)
    model = ["--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}']
    here = ["--embeddings", "out"]
    commands = [
        ("pipelines.command", ["--input", "photos", "--output", "out", *model]),
        ("pipelines.similar.command", [*here, "--pairs", "--above", "0.9", "--out", "pairs.jsonl"]),
        ("pipelines.similar.command", [*here, "--to", "asked.webp", "--top", "2"]),
    ]
    code = (
        "import importlib, json, sys\n"
        "for command, arguments in json.loads(sys.argv[1]):\n"
        "    assert importlib.import_module(command).main(arguments) == 0"
    )
    environment = {**os.environ, "KERAS_HOME": str(test_data / "keras_home"), "PYTHONPATH": str(ROOT)}
    process = [sys.executable, "-c", code, json.dumps(commands)]
    done = subprocess.run(process, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = by_hand(tmp_path / "out", 0.9)
    assert_same(pairs_in(tmp_path / "pairs.jsonl"), expected)
    folder = tmp_path / "photos"
    assert {(str(folder / f"{i:02d}.jpg"), str(folder / f"{i:02d}_small.png")) for i in range(4)} <= expected.keys()
    assert f"\npairs   {len(expected)} with a cosine of at least 0.9, among 28 images\n" in done.stdout
    asked, *nearest = done.stdout.splitlines()[-3:]
    assert asked == str(tmp_path / "asked.webp")
    assert {line.split()[1] for line in nearest} == {f"{folder}/00.jpg", f"{folder}/00_small.png"}


@pytest.mark.exhaustive
def test_prism_finds_the_same_pairs(prism: pathlib.Path, images: pathlib.Path, tmp_path: pathlib.Path) -> None:
    embed(images, tmp_path / "out")
    assert_same(
        found_by(tmp_path, "--runner=PrismRunner", f"--prism_location={prism}"), by_hand(tmp_path / "out", ABOVE)
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("server", ["Prism", "job service"], indirect=True)
def test_a_job_server_with_a_pool_finds_the_same_pairs(
    server: list[str], images: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    embed(images, tmp_path / "out")
    with worker_pool() as workers:
        assert_same(found_by(tmp_path, *server, *workers), by_hand(tmp_path / "out", ABOVE))


def found_by(folder: pathlib.Path, *flags: str) -> dict[tuple[str, str], float]:
    """Run the command in a process of its own, with blocks of few rows."""
    code = (
        "import sys; from transforms.measure import cosines; cosines.BLOCK_ROWS = 4; "
        "from pipelines.similar.command import main; sys.exit(main())"
    )
    given = ["--embeddings", "out", "--pairs", "--above", str(ABOVE), "--out", "pairs.jsonl", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *given]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.glob("pairs*")) == ["pairs.jsonl"]
    return pairs_in(folder / "pairs.jsonl")
