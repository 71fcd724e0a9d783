"""What is settled by what storage said, and by the bytes."""

import dataclasses
import hashlib

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

from transforms.core.elements import Image, ImageUri
from transforms.update.after_fetch import SettleSameBytes, settle_same_bytes, settle_unchanged
from transforms.update.compare import Settled
from transforms.update.outcomes import Held, HeldFailure, HeldRow, Outcome
from transforms.update.rows import hash8

DATA, OTHER = b"an image", b"another one"


def row(version: str, data: bytes = DATA, same_columns: bool = True) -> HeldRow:
    return HeldRow(hash8(version), same_columns, int(hashlib.sha256(data).hexdigest()[:16], 16), 0, version)


def source(version: str, **held: Held) -> ImageUri:
    return ImageUri("https://h/a", {}, version, held=held or None)


def test_an_image_that_has_not_changed_is_settled_for_each_collection() -> None:
    found = source(
        "etag:x",
        same=Held(row("etag:x")),
        columns=Held(row("etag:x", same_columns=False)),
        part=Held(part=row("etag:x")),
        failed=Held(failure=HeldFailure("etag:x", False, 0)),
    )
    plain = dataclasses.replace(found, held=None)
    assert list(settle_unchanged(found, "none")) == [
        Settled("same", Outcome.SAME, plain),
        Settled("columns", Outcome.REVISE, plain, 0, replaces=True),
        Settled("part", Outcome.TAKE, plain, 0),
        Settled("failed", Outcome.FAILED, plain, 0),
    ]


def test_an_answer_that_settles_nothing_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="asked for a version that is not known: etag:y"):
        list(settle_unchanged(source("etag:y", x=Held(row("etag:x"))), "none"))


@pytest.mark.parametrize(
    "held", [{}, {"x": Held()}, {"x": Held(failure=HeldFailure("etag:x", False, 0))}], ids=["any", "new", "failed"]
)
def test_an_image_of_which_nobody_has_a_row_goes_on_as_it_is(held: dict[str, Held]) -> None:
    image = Image(source("etag:x", **held), DATA)
    (found,) = settle_same_bytes(image)
    assert found is image


def test_bytes_that_a_collection_has_are_not_embedded_again() -> None:
    touched = source("etag:y", x=Held(row("etag:x")))
    assert list(settle_same_bytes(Image(touched, DATA))) == [
        Settled("x", Outcome.REVISE, dataclasses.replace(touched, held=None), 0, replaces=True)
    ]
    unversioned = source("", x=Held(row("")))
    assert [one.outcome for one in settle_same_bytes(Image(unversioned, DATA)) if isinstance(one, Settled)] == [
        Outcome.SAME
    ]


def test_an_image_goes_on_for_those_alone_that_lack_its_bytes() -> None:
    held = {"has": Held(row("etag:x")), "lacks": Held(row("etag:x", OTHER)), "part": Held(part=row("etag:x"))}
    image = Image(source("etag:y", **held, new=Held()), DATA)
    *settled, left = settle_same_bytes(image)
    assert {one.collection: one.outcome for one in settled if isinstance(one, Settled)} == {
        "has": Outcome.REVISE,
        "part": Outcome.TAKE,
    }
    needed = {"lacks": held["lacks"], "new": Held()}
    assert left == dataclasses.replace(image, source=dataclasses.replace(image.source, held=needed))


def test_a_pipeline_parts_them() -> None:
    kept, changed = source("etag:y", x=Held(row("etag:x"))), source("etag:y", x=Held(row("etag:x", OTHER)))

    def check_images(found: list[Image]) -> None:
        assert [one.source for one in found] == [changed]

    def check_settled(found: list[Settled]) -> None:
        assert [(one.outcome, one.source.uri) for one in found] == [(Outcome.REVISE, kept.uri)]

    with beam.Pipeline(FnApiRunner()) as root:
        images, settled = root | beam.Create([Image(kept, DATA), Image(changed, DATA)]) | SettleSameBytes()
        assert images.element_type is Image
        assert_that(images, check_images, "Images")
        assert_that(settled, check_settled, "Settled")
