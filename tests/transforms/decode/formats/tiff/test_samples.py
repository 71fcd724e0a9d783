"""What a TIFF says of its samples."""

import io
import itertools

import tifffile

from tests.transforms.decode.formats.tiff.writing import HEIGHT, WIDTH, samples_of, written
from transforms.decode.formats.tiff import is_tiff
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.samples import Samples


def test_the_directory_is_read_in_both_orders_and_sizes() -> None:
    for order, big in itertools.product("<>", (False, True)):
        data = written("rgb", samples_of("rgb", "uint16"), True, byteorder=order, bigtiff=big, rowsperstrip=5)
        assert is_tiff(data)
        page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
        samples = Samples(Directory(data))
        assert samples.directory.numbers(273) == tuple(page.dataoffsets)
        assert (samples.size, samples.count, samples.bits, samples.planar) == ((WIDTH, HEIGHT), 3, 16, True)
        assert (samples.mode, samples.pillow_is_right, samples.is_readable) == ("RGB", False, True)
