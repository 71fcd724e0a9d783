"""The memory of pixels is shared: none is given that is not there, and each share comes in its turn."""

import concurrent.futures
import io
import pathlib
import subprocess
import sys
import threading
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.conftest import sample_image
from tests.transforms.decode.encoding import chunk, encoded
from transforms.decode import decode_image
from transforms.decode.deadline import TimedFile
from transforms.decode.memory import BYTES_PER_PIXEL, PIXELS, Budget, bytes_to_decode
from transforms.decode.opening import open_image

ROOT = pathlib.Path(__file__).parents[3]


def test_shares_never_exceed_the_capacity_together() -> None:
    budget, lock, held, most = Budget(), threading.Lock(), [0], [0]

    def hold(amount: int) -> None:
        with budget.share(amount, 10):
            with lock:
                held[0] += amount
                most[0] = max(most[0], held[0])
            threading.Event().wait(0.001)
            with lock:
                held[0] -= amount

    amounts = [int(n) for n in np.random.RandomState(0).randint(1, 8, 200)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(hold, amounts))
    assert most[0] <= 10
    assert held[0] == 0


def test_a_share_above_the_capacity_is_held_alone() -> None:
    """An image that is larger than all memory that is meant for images would never be decoded (4a)."""
    budget, order = Budget(), list[str]()
    first, second = threading.Event(), threading.Event()

    def small() -> None:
        with budget.share(1, 10):
            order.append("small")
            first.set()
            second.wait(10)
            order.append("small is done")

    def large() -> None:
        first.wait(10)
        second.set()
        with budget.share(99, 10):
            order.append("large")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda work: work(), (small, large)))
    assert order == ["small", "small is done", "large"]


def test_a_large_share_is_not_passed_by_small_ones_for_ever() -> None:
    budget, order = Budget(), list[int]()
    asked = [threading.Event() for _ in range(3)]

    def take(number: int, amount: int) -> None:
        asked[number].set()
        with budget.share(amount, 10):
            order.append(number)

    with budget.share(5, 10):
        threads = []
        for number, amount in enumerate((9, 1, 1)):
            threads.append(threading.Thread(target=take, args=(number, amount)))
            threads[-1].start()
            asked[number].wait(10)
            while len(budget._waiting) <= number:
                threading.Event().wait(0.001)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order[0] == 0


def test_an_error_gives_its_share_back() -> None:
    budget = Budget()
    with pytest.raises(ZeroDivisionError), budget.share(10, 10):
        _ = 1 / 0
    with budget.share(10, 10):
        pass


@pytest.mark.parametrize(
    ("mode", "file_format", "options", "per_pixel"),
    [
        ("RGB", "PNG", {}, 4),
        ("L", "PNG", {}, 1),
        ("P", "PNG", {}, 1 + 4),
        ("I;16", "PNG", {}, 2 + 4),
        ("RGBA", "PNG", {}, 4 + 4),
        ("RGB", "JPEG", {}, 4),
        ("RGB", "JPEG", {"progressive": True}, 4 + 6),
        ("RGB", "WEBP", {}, 4 + 8),
        ("F", "TIFF", {}, 4 + 4 + 4),
    ],
)
def test_the_bytes_of_an_image_are_known_before_it_is_decoded(
    mode: str, file_format: str, options: dict[str, bool], per_pixel: int
) -> None:
    image = sample_image(1, 64, 48).convert("L" if mode in ("I;16", "F") else mode).convert(mode)
    opened = open_image(TimedFile(encoded(image, file_format, **options)))
    assert bytes_to_decode(opened, opened.size) == 64 * 48 * per_pixel


def test_a_reduced_jpeg_takes_the_memory_of_its_reduced_size(monkeypatch: pytest.MonkeyPatch) -> None:
    # The last image that was decoded set it.
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", None)
    opened = open_image(TimedFile(encoded(sample_image(1, 640, 480), "JPEG")))
    opened.draft(None, (160, 160))
    assert opened.size == (320, 240)
    assert bytes_to_decode(opened, (640, 480)) == 320 * 240 * 4


def grey_16(side: int) -> bytes:
    """Return a PNG of 16-bit grey that compresses to nearly nothing."""
    rows = zlib.compress(bytes((2 * side + 1) * side), 9)
    ihdr = side.to_bytes(4) + side.to_bytes(4) + b"\x10\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", rows) + chunk(b"IEND")


def tiff_of_floats(side: int, config: str) -> bytes:
    """Return a TIFF of three floats per pixel that compresses to nearly nothing."""
    shape, file = (3, side, side) if config == "separate" else (side, side, 3), io.BytesIO()
    samples = np.broadcast_to(np.float32(0), shape)
    tifffile.imwrite(file, samples, photometric="rgb", planarconfig=config, compression="zlib")
    return file.getvalue()


PEAK = """
import concurrent.futures, pathlib, resource, sys
from transforms.decode import decode_image
data, max_pixels = pathlib.Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
decode_image(data[:0] or pathlib.Path(sys.argv[3]).read_bytes(), [(8, 8)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: decode_image(data, [(8, 8)], "crop", max_pixels), range(8)))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def peak_of(data: bytes, max_pixels: int, folder: pathlib.Path) -> int:
    """Return by how many bytes eight threads that decode an image eight times grow a process."""
    (folder / "bomb").write_bytes(data)
    (folder / "small").write_bytes(encoded(sample_image(1), "PNG"))
    arguments = [folder / "bomb", str(max_pixels), folder / "small"]
    result = subprocess.run([sys.executable, "-c", PEAK, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return 1024 * int(result.stdout)


BOMBS = {
    "16-bit grey": lambda side: grey_16(side),
    "floats": lambda side: encoded(PIL.Image.new("F", (side, side)), "TIFF", compression="tiff_adobe_deflate"),
    "planes": lambda side: tiff_of_floats(side, "separate"),
    "floats side by side": lambda side: tiff_of_floats(side, "contig"),
    "alpha": lambda side: encoded(PIL.Image.new("RGBA", (side, side)), "PNG"),
    "palette": lambda side: encoded(PIL.Image.new("P", (side, side)), "PNG"),
    "CMYK": lambda side: encoded(PIL.Image.new("CMYK", (side, side)), "TIFF", compression="tiff_lzw"),
    "progressive": lambda side: encoded(PIL.Image.new("RGB", (side, side)), "JPEG", progressive=True),
    "WebP": lambda side: encoded(PIL.Image.new("RGB", (side, side)), "WEBP"),
    "lines": lambda side: encoded(PIL.Image.new("L", (side, side)), "GIF"),
}


def test_an_image_waits_until_its_pixels_fit_beside_the_others() -> None:
    """Eight threads, each within --max_image_pixels, took the memory of the machine (4a)."""
    data, max_pixels = encoded(sample_image(1, 64, 48), "PNG"), 64 * 48
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with PIXELS.share(max_pixels * BYTES_PER_PIXEL, max_pixels * BYTES_PER_PIXEL):
            waiting = pool.submit(decode_image, data, [(8, 8)], "crop", max_pixels)
            while not PIXELS._waiting:
                threading.Event().wait(0.001)
            assert not waiting.done()
        assert waiting.result()[0].width == 64


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", BOMBS)
def test_no_kind_of_image_takes_more_memory_than_is_shared(kind: str, tmp_path: pathlib.Path) -> None:
    """The same in bytes, for each way of growing; the allocator keeps some of what was freed (4a)."""
    side = 7000
    assert peak_of(BOMBS[kind](side), side * side, tmp_path) < 2 * BYTES_PER_PIXEL * side * side


def test_one_image_above_the_limit_of_memory_is_still_decoded() -> None:
    webp = encoded(sample_image(1, 64, 48), "WEBP")
    assert decode_image(webp, [(8, 8)], max_pixels=64 * 48)[0].width == 64
