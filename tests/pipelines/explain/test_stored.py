"""What a collection holds of an image, against its own files as Arrow and JSON read them."""

import json
import os

import numpy as np
import pytest

from pipelines.explain.stored import Stored, cosine_of, neighbours_of, stored_of
from pipelines.similar.collection import open_collection
from pipelines.similar.matrix import matrix_of
from tests.pipelines.similar.conftest import Made
from transforms.core.errors import RunError


def stored(made: Made, name: str) -> Stored:
    collection = open_collection(str(made.folder))
    with matrix_of(collection) as matrix:
        return stored_of(name, collection, str(made.folder), matrix)


def test_a_row_is_found_by_its_uri_and_by_a_path_that_leads_to_it(made: Made) -> None:
    uri = str(made.photos / "2.jpg")
    for name in (uri, os.path.relpath(uri)):
        found = stored(made, name)
        assert (found.uri, found.failure) == (uri, None)
        assert found.embedding is not None
        assert (found.embedding.facts.width, found.embedding.facts.height) == (320, 240)
        np.testing.assert_array_equal(found.embedding.embedding, made.vectors[uri].astype(np.float32))


def test_a_failure_is_what_the_file_of_failures_says(made: Made) -> None:
    (path,) = made.folder.glob("failures/*.jsonl")
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        found = stored(made, entry["uri"])
        assert (found.row, found.embedding) == (None, None)
        assert found.failure is not None
        names = ("stage", "reason", "kind", "message")
        assert [getattr(found.failure, name) for name in names] == [entry[name] for name in names]


def test_of_an_image_that_no_run_has_met_there_is_nothing(made: Made) -> None:
    assert stored(made, "/gone.jpg") == Stored("/gone.jpg")


def test_a_file_that_is_gone_is_said(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = open_collection(str(made.folder))
    with matrix_of(collection) as matrix, pytest.raises(RunError, match="cannot read what /nowhere holds of "):
        stored_of(str(made.photos / "notes.jpg"), collection, "/nowhere", matrix)


def test_neighbours_are_the_rows_of_the_largest_cosines_but_for_the_image_s_own(made: Made) -> None:
    uri = str(made.photos / "1.jpg")
    collection = open_collection(str(made.folder))
    with matrix_of(collection) as matrix:
        own = stored_of(uri, collection, str(made.folder), matrix)
        near = neighbours_of(made.vectors[uri], own, matrix, 3)
        of_a_stranger = neighbours_of(made.vectors[uri], Stored("/new.jpg"), matrix, 1)
    expected = sorted(((made.cosine(uri, other), other) for other in made.vectors if other != uri), reverse=True)
    assert [other for _, other in near] == [other for _, other in expected[:3]]
    np.testing.assert_allclose([cosine for cosine, _ in near], [cosine for cosine, _ in expected[:3]], atol=1e-6)
    ((cosine, nearest),) = of_a_stranger
    assert nearest == uri
    assert cosine == pytest.approx(1, abs=1e-6)


def test_the_cosine_of_two_vectors_does_not_depend_on_their_lengths() -> None:
    a, b = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    assert cosine_of(a, 7 * b) == pytest.approx(24 / 25)
    assert cosine_of(a, np.zeros(2)) == 0
    assert cosine_of(a, np.array([np.nan, 1])) == 0
