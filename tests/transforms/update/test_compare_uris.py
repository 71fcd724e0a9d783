"""Uris are compared in batches, by any number of bundles."""

from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tests.transforms.update.test_compare import known, rules
from transforms.core.elements import ImageUri
from transforms.core.uri_sum import UriSum
from transforms.update.compare_uris import CompareUris


def test_a_pipeline_compares_and_counts() -> None:
    stand = {f"gs://b/{i}": ("generation:1", 0) for i in range(3000)}
    sources = [ImageUri(f"gs://b/{i}", {"label": 0}, "generation:1" if i % 3 else "generation:2") for i in range(3300)]

    def check_uris(found: list[ImageUri]) -> None:
        assert sorted(one.uri for one in found) == sorted(
            source.uri for i, source in enumerate(sources) if i >= 3000 or i % 3 == 0
        )

    def check_notes(found: list[Any]) -> None:
        same = [source.uri for i, source in enumerate(sources) if i < 3000 and i % 3]
        assert UriSum.total(note.value for note in found if note.kind == "skipped") == UriSum.of(same)
        seen = [position for note in found if note.kind == "seen" for position in note.value.tolist()]
        assert sorted(seen) == list(range(3000))

    with beam.Pipeline(FnApiRunner()) as root:
        one = root | "Known" >> beam.Create([known((stand, {}, {}))])
        uris, settled, notes = root | "Uris" >> beam.Create(sources) | CompareUris([rules()], [one])
        assert_that(uris, check_uris, "CheckUris")
        assert_that(notes, check_notes, "CheckNotes")
        assert_that(settled | beam.combiners.Count.Globally(), equal_to([0]), "CheckSettled")
