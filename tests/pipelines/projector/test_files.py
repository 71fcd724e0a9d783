"""The files are read by TensorBoard's own code: what it parses is what was given, whatever the text holds."""

import pathlib
from collections import Counter

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.plugins.projector.projector_plugin import _read_tensor_tsv_file

from pipelines.projector.files import config_of, metadata_of, write_files
from pipelines.projector.points import Points
from pipelines.projector.sprite import Sprite
from tests.pipelines.conftest import files_in
from transforms.core.errors import UsageError

SPRITE = Sprite(np.zeros((25, 50, 3), np.uint8), 25, Counter())


def points(**columns: list[str]) -> Points:
    vectors = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)
    return Points(["/a.jpg", "/b.jpg"], vectors, columns)


def read_by_the_page(text: str) -> list[dict[str, str]]:
    """Read metadata as the page of the projector does, in `parseMetadata` of its data-provider."""
    lines = [line for line in text.split("\n") if line.strip()]
    header = lines.pop(0).split("\t") if "\t" in lines[0] else ["label"]
    return [dict(zip(header, line.split("\t"), strict=True)) for line in lines]


def test_metadata_has_a_header_unless_it_has_one_column() -> None:
    assert metadata_of(points()) == "/a.jpg\n/b.jpg\n"
    assert metadata_of(points(label=["1", ""])) == "uri\tlabel\n/a.jpg\t1\n/b.jpg\t\n"


@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.text()), min_size=1, max_size=5), st.booleans())
def test_no_text_breaks_a_line_or_a_column(rows: list[tuple[str, str, str]], carries: bool) -> None:
    uris, *columns = map(list, zip(*rows, strict=True))
    uris = [f"/{uri}" for uri in uris]
    carried = dict(zip(("label", "kind"), columns, strict=True)) if carries else {}
    text = metadata_of(Points(uris, np.zeros((len(rows), 2), np.float32), carried))
    assert text.isascii() or text.encode()
    found = read_by_the_page(text)
    assert [len(row) for row in found] == [1 + len(carried)] * len(rows)
    assert len(text.splitlines()) == len(rows) + carries


def test_secrets_of_uris_are_masked() -> None:
    signed = Points(["https://host/a.jpg?X-Amz-Signature=5ec4e7"], np.zeros((1, 2), np.float32), {})
    assert metadata_of(signed) == "https://host/a.jpg?X-Amz-Signature=***\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_the_configuration_is_what_tensorboard_parses(name: str) -> None:
    config = text_format.Parse(config_of(name, points(), SPRITE), ProjectorConfig())
    (one,) = config.embeddings
    assert (one.tensor_name, list(one.tensor_shape)) == (name, [2, 5])
    assert (one.tensor_path, one.metadata_path) == ("tensors.tsv", "metadata.tsv")
    assert (one.sprite.image_path, list(one.sprite.single_image_dim)) == ("sprite.jpg", [25, 25])
    (plain,) = text_format.Parse(config_of(name, points(), None), ProjectorConfig()).embeddings
    assert not plain.HasField("sprite")


def test_what_is_written_is_read_and_replaced(tmp_path: pathlib.Path) -> None:
    write_files(str(tmp_path / "new"), "VGG16", points(), SPRITE)
    assert files_in(tmp_path / "new") == ["metadata.tsv", "projector_config.pbtxt", "sprite.jpg", "tensors.tsv"]
    found = _read_tensor_tsv_file(str(tmp_path / "new" / "tensors.tsv"))
    np.testing.assert_allclose(found, points().vectors, rtol=1e-5)
    write_files(str(tmp_path / "new"), "VGG16", points(label=["1", "2"]), None)
    assert "sprite" not in (tmp_path / "new" / "projector_config.pbtxt").read_text()
    assert (tmp_path / "new" / "metadata.tsv").read_text().startswith("uri\tlabel\n")


def test_what_fails_leaves_no_configuration_of_other_files(tmp_path: pathlib.Path) -> None:
    write_files(str(tmp_path), "VGG16", points(), None)
    (tmp_path / "sprite.jpg").mkdir()
    with pytest.raises(UsageError, match="cannot write --out"):
        write_files(str(tmp_path), "VGG16", points(), SPRITE)
    assert files_in(tmp_path) == ["metadata.tsv", "tensors.tsv"]


def test_a_file_in_the_way_is_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write --out"):
        write_files(str(tmp_path / "file" / "shown"), "VGG16", points(), None)
