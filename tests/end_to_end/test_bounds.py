"""All hostile files that there are, and bombs of each kind, in one run: it ends, in bounded memory, with all rows."""

import contextlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

import PIL.Image
import psutil
import pyarrow.parquet as pq
import pytest

from tests.conftest import sample_image

MEMORY = 4 << 30
SIDE = 10_000
"""The largest square that --max_image_pixels lets through, in px."""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def large_png(color: int, depth: int, channels: int) -> bytes:
    row = bytes(1 + SIDE * channels * depth // 8)
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(row) for _ in range(SIDE)) + deflate.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_of_segments(marker: int) -> bytes:
    jpeg = encoded("JPEG")
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, 2) * 7_000_000 + jpeg[2:]


def gif_with_a_comment(num_bytes: int) -> bytes:
    gif = encoded("GIF")
    # After the header and the palette, whose size the flags say.
    start = 13 + 3 * 2 ** ((gif[10] & 7) + 1)
    return gif[:start] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * (num_bytes // 256) + b"\0" + gif[start:]


def tiff(
    width: int, height: int, bits: int, sample_format: int, strips: list[bytes], rows: int, deflated: bool
) -> bytes:
    """A grey TIFF; a strip that is used again is stored once."""
    start, places, body = 8, {}, b""
    for strip in strips:
        if strip not in places:
            places[strip] = start + len(body)
            body += strip
    offsets = struct.pack(f"<{len(strips)}I", *(places[strip] for strip in strips))
    counts = struct.pack(f"<{len(strips)}I", *map(len, strips))
    table = start + len(body)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 8 if deflated else 1),
        (262, 3, 1, 1),
    ]
    tags += [(273, 4, len(strips), table if len(strips) > 1 else places[strips[0]]), (277, 3, 1, 1), (278, 4, 1, rows)]
    tags += [(279, 4, len(strips), table + len(offsets) if len(strips) > 1 else len(strips[0]))]
    tags += [(339, 3, 1, sample_format)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return struct.pack("<2sHI", b"II", 42, table + len(offsets) + len(counts)) + body + offsets + counts + directory


def encoded(form: str) -> bytes:
    data = io.BytesIO()
    sample_image(1, 64, 48).save(data, form)
    return data.getvalue()


BOMBS: dict[str, Callable[[int], bytes]] = {
    "grey16-{}.png": lambda _: large_png(0, 16, 1),
    "rgb16-{}.png": lambda _: large_png(2, 16, 3),
    "rgba8-{}.png": lambda _: large_png(6, 8, 4),
    "segments-{}.jpg": lambda i: jpeg_of_segments((0xFE, 0xE1, 0xE2)[i]),
    "comment-{}.gif": lambda i: gif_with_a_comment((59 - i) << 20),
    "strips-{}.tif": lambda i: tiff(1, 5_000_000 - i, 8, 1, [b"x"] * (5_000_000 - i), 1, False),
    "float-{}.tif": lambda _: tiff(SIDE, SIDE, 32, 3, [zlib.compress(bytes(4 * SIDE * SIDE), 9)], SIDE, True),
}
"""Files of at most 60 MB, by name, each made of a number from 0 to 2."""


def peak_memory(process: "subprocess.Popen[str]", timeout: float = 1800.0) -> int:
    """Return the largest sum of resident memory of a process and all that it started, in bytes; end it if it hangs."""
    peak, root, until = 0, psutil.Process(process.pid), time.monotonic() + timeout
    try:
        while process.poll() is None and time.monotonic() < until:
            total = 0
            for member in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += member.memory_info().rss
            peak = max(peak, total)
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    return peak


@pytest.mark.exhaustive
def test_a_run_over_all_that_is_hostile_ends_in_bounded_memory_with_all_rows(
    test_data: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """(4a, 4b, 4c): one hostile file would end the run of all others."""
    bombs, output = tmp_path / "bombs", tmp_path / "out"
    bombs.mkdir()
    for name, make in BOMBS.items():
        for i in range(3):
            (bombs / name.format(i)).write_bytes(make(i))
    PIL.Image.open(bombs / "float-0.tif", formats=["TIFF"]).verify()
    sample_image(2).save(tmp_path / "good.jpg")
    with open(tmp_path / "uris.txt", "w") as f:
        f.write("good.jpg\n/")
        for _ in range(300):
            f.write("x" * (1 << 20))
        f.write("\n/proc/kmsg\n")
    folders = [test_data / "awkward", bombs, *filter(pathlib.Path.exists, [test_data.parent / "cases"])]
    inputs = [flag for path in [*folders, tmp_path / "uris.txt"] for flag in ("--input", str(path))]
    flags = ["--output", str(output), "--weights", "random", "--backbone", "MobileNet", "--image_size", "32"]
    command = [sys.executable, "-m", "pipelines.command", *inputs, *flags]
    with open(tmp_path / "stdout", "w") as out, open(tmp_path / "stderr", "w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, text=True)
        peak = peak_memory(process)
    said = (tmp_path / "stdout").read_text()[-3000:] + (tmp_path / "stderr").read_text()[-3000:]
    assert process.returncode == 0, f"{said}\npeak {peak / 2**30:.2f} GiB"
    embedded = [
        uri for file in output.glob("parquet/*") for uri in pq.read_table(file, columns=["uri"])["uri"].to_pylist()
    ]
    lines = (line for file in output.glob("failures/*") for line in file.read_text().splitlines())
    failed = [json.loads(line)["uri"] for line in lines]
    found = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    known = {*(uri for uri in found if "/." not in uri), str(tmp_path / "good.jpg"), "/proc/kmsg"}
    # The row of 300 MB is a failure, under whatever name.
    assert known <= {*embedded, *failed}
    assert len(embedded) + len(failed) == len(known) + 1
    counts = json.loads((output / "manifest.json").read_text())["counts"]
    assert counts["inputs"] == len(known) + 1 == counts["embedded"] + counts["failed"]
    assert peak <= MEMORY, f"{peak / 2**30:.2f} GiB"
