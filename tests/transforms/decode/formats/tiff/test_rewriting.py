"""Directories behind a file's bytes, as tifffile reads them."""

import io

import numpy as np
import pytest
import tifffile

from tests.transforms.decode.formats.tiff.writing import samples_of, written
from transforms.decode.formats.tiff.directory import Directory
from transforms.decode.formats.tiff.rewriting import with_directory
from transforms.decode.formats.tiff.tags import Tag


@pytest.mark.parametrize("order", ["<", ">"])
def test_another_directory_reads_the_strips_of_the_file(order: str) -> None:
    values = samples_of("minisblack", "uint16")
    data = written("minisblack", values, byteorder=order, rowsperstrip=5)
    directory = Directory(data)
    kept = (Tag.WIDTH, Tag.HEIGHT, Tag.BITS, Tag.ROWS, Tag.STRIPS, Tag.STRIP_BYTES, Tag.PHOTOMETRIC)
    rewritten = with_directory(data, order, {tag: directory.numbers(tag) for tag in kept})
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(rewritten)), values)
