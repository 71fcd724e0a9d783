"""What is shown is bounded, and what is worth a look comes first."""

import numpy as np
import pytest

from pipelines.report import pictures
from pipelines.report.pictures import DUPLICATE, MEMBERS, ODD, ODD_ONE, OTHER, THUMBNAILS, choose, pictures_of
from pipelines.report.survey import Group, Survey, survey_of
from pipelines.similar.thumbnails import Thumbnail
from transforms.measure.cosines import unit_vectors

RANDOM = np.random.default_rng(4)


def surveyed(rows: int) -> Survey:
    return survey_of(unit_vectors(RANDOM.normal(size=(rows, 16))), RANDOM)


@pytest.mark.parametrize("rows", [1, 50, 3000])
def test_each_image_that_is_chosen_has_its_neighbours_and_none_is_too_many(rows: int) -> None:
    survey = surveyed(rows)
    found = choose(survey, [], np.random.default_rng(0))
    assert len(found.rows) == len(set(found.rows)) <= THUMBNAILS
    for row in found.kinds:
        assert {row, *(near.row for near in survey.neighbours[row])} <= set(found.rows)
    assert len(found.kinds) == rows if rows <= 50 else 40 < len(found.kinds) < THUMBNAILS
    assert list(found.kinds)[: len(found.odd)] == found.odd


def test_near_duplicates_come_first_then_odd_ones() -> None:
    survey = surveyed(200)
    groups = [Group([3, 4, 5, 6, 7, 8, 9, 10], 1.0), Group([20, 21], 0.99)]
    found = choose(survey, groups, np.random.default_rng(0))
    shown = [row for group in groups for row in group.rows[:MEMBERS]]
    assert list(found.kinds)[: len(shown)] == shown
    assert {found.kinds[row] for row in shown} <= {DUPLICATE, ODD_ONE}
    assert len(found.odd) == ODD
    assert OTHER in found.kinds.values()


def test_a_near_duplicate_that_was_not_compared_is_shown_without_neighbours() -> None:
    survey = Survey({0: []})
    found = choose(survey, [Group([0, 7], 1.0)], np.random.default_rng(0))
    assert set(found.rows) == {0, 7}
    assert set(found.kinds) == {0}


def test_thumbnails_end_where_the_page_would_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "BYTES", 25)
    thumbnails = {f"/{i}.jpg": Thumbnail("data:,12345", (96, 96)) for i in range(4)}
    found = pictures_of(range(4), thumbnails, thumbnails)
    assert [bool(one.thumbnail.data_uri) for one in found.values()] == [True, True, False, False]
    assert found[3].thumbnail.lack == "the page would be too large"


def test_names_are_printable_and_hold_no_secret() -> None:
    uri = "https://me:secret@host/photos/a\u202eb.jpg?sig=secret"
    (picture,) = pictures_of([0], [uri], {uri: Thumbnail("", (96, 96), "gone")}).values()
    assert "secret" not in picture.uri + picture.name
    assert (picture.uri + picture.name).isprintable()
    assert picture.name.startswith("a\\u202eb.jpg")
