"""Sizes and formats, against loops over the images."""

import collections
import dataclasses
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.sizes import measured, sizes_of
from pipelines.similar.collection import open_collection
from tests.collection_files import FORMATS, collection, embedding
from transforms.core.elements import Size
from transforms.core.errors import RunError

SIDE = st.integers(1, 100_000)


@pytest.mark.parametrize("format_", FORMATS)
def test_all_images_of_a_collection_are_measured(format_: str, tmp_path: pathlib.Path) -> None:
    rows = [embedding(f"/{i}.jpg", label=i) for i in range(8)]
    collection(tmp_path, rows, formats={format_: FORMATS[format_]()})
    found = sizes_of(open_collection(str(tmp_path)))
    assert found.formats == [("PNG", 8, 1.0)]
    assert found.enlarged == 8
    assert {(one.width, one.height, one.megapixels) for one in found.quantiles} == {(4, 3, 12e-6)}
    assert [number for _, _, number in found.sides] == [8]
    assert found.scaled_to == (224, 224)


@pytest.mark.parametrize(("fraction", "scaled", "enlarged"), [(1.0, (3, 4), 0), (0.8, (3, 5), 1), (0.5, (6, 8), 1)])
def test_what_is_cut_out_of_a_larger_one_is_enlarged_if_that_is(
    fraction: float, scaled: Size, enlarged: int, tmp_path: pathlib.Path
) -> None:
    collection(tmp_path, [embedding("/a.jpg", label=0)])
    found = open_collection(str(tmp_path))
    spec = dataclasses.replace(found.spec, image_size=(3, 4), central_fraction=fraction)
    sizes = sizes_of(found._replace(spec=spec))
    assert (sizes.scaled_to, sizes.enlarged) == (scaled, enlarged)


def test_a_file_that_is_gone_fails_with_its_name(tmp_path: pathlib.Path) -> None:
    collection(tmp_path, [embedding("/a.jpg", label=0)])
    found = open_collection(str(tmp_path))
    pathlib.Path(found.files[0][0]).unlink()
    with pytest.raises(RunError, match=rf"cannot read {found.files[0][0]}"):
        sizes_of(found)


@given(st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=30))
def test_what_is_told_is_what_a_loop_finds(sides: list[tuple[int, int]]) -> None:
    found = measured(collections.Counter({"JPEG": len(sides)}), np.array(sides), (224, 320))
    assert found.enlarged == sum(width < 320 or height < 224 for width, height in sides)
    assert found.quantiles[0].width == min(width for width, _ in sides)
    assert found.quantiles[-1].height == max(height for _, height in sides)
    assert found.quantiles[-1].megapixels == max(width * height for width, height in sides) / 1e6
    assert sum(number for _, _, number in found.sides) == len(sides)
    for least, below, number in found.sides:
        inside = [side for side in map(min, sides) if least <= side < below]
        assert len(inside) == number or below == found.sides[-1][1]
