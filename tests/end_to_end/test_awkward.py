"""Every odd, broken and hostile file of the test data in one run, against what Pillow by itself makes of each."""

import io
import json
import pathlib
import warnings

import PIL.Image
import pyarrow.parquet as pq

from pipelines.command import main
from transforms.decode import FORMATS

MAX_PIXELS = 20_000_000
CAUSES = {"other_file", "not_an_image", "truncated", "corrupt", "too_many_pixels", "empty", "too_many_parts"}
CAUSES |= {"unsupported_color", "unsupported_compression"}
MISREAD = {"pal4rle.bmp", "pal4rletrns.bmp"}
"""Files that Pillow loads as another picture, by OpenCV's reading: they are refused."""
READ_HERE = {"hopper_unknown_pixel_mode.tif"}
"""Files that Pillow does not load, for their 32-bit samples: they are read all the same."""


def loads(data: bytes) -> bool:
    """Whether Pillow loads the first frame to RGB, within the limits."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
            image.load()
            image.convert("RGB")
            return image.width * image.height <= MAX_PIXELS
    except Exception:
        return False


def test_what_pillow_loads_is_embedded_and_all_else_has_a_cause(
    test_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    folder, output = test_data / "awkward", tmp_path / "out"
    arguments = ["--input", folder, "--output", output, "--weights", "random", "--image_size", "32"]
    assert main([*map(str, arguments), "--max_image_pixels", str(MAX_PIXELS)]) == 0
    manifest = json.loads((output / "manifest.json").read_text())
    embedded = {
        uri for file in output.glob("parquet/*") for uri in pq.read_table(file, columns=["uri"])["uri"].to_pylist()
    }
    failures = [json.loads(line) for file in output.glob("failures/*") for line in file.read_text().splitlines()]
    files = {str(path): path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}
    assert embedded | {failure["uri"] for failure in failures} == set(files)
    assert manifest["counts"]["inputs"] == len(files) == len(embedded) + len(failures)
    assert {failure["reason"] for failure in failures} <= CAUSES
    assert all(failure["message"] and "\n" not in failure["message"] for failure in failures)
    by_pillow = {uri for uri, path in files.items() if loads(path.read_bytes())}
    assert {files[uri].name for uri in by_pillow - embedded} == MISREAD
    assert {files[uri].name for uri in embedded - by_pillow} == READ_HERE
