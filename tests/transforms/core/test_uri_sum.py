"""Two numbers tell one set of uris from another."""

from hypothesis import given
from hypothesis import strategies as st

from transforms.core.uri_sum import UriSum, uri_hash

URIS = st.lists(st.text(max_size=5), max_size=8)


def test_no_uris_have_no_sum() -> None:
    assert UriSum.of([]) == UriSum() == UriSum.total([]) == UriSum(0, 0)


@given(URIS)
def test_the_order_of_uris_and_their_grouping_do_not_matter(uris: list[str]) -> None:
    half = len(uris) // 2
    assert UriSum.of(reversed(uris)) == UriSum.of(uris)
    assert UriSum.total([UriSum.of(uris[:half]), UriSum.of(uris[half:])]) == UriSum.of(uris)


@given(URIS, URIS)
def test_sums_are_equal_only_of_the_same_uris(left: list[str], right: list[str]) -> None:
    assert (UriSum.of(left) == UriSum.of(right)) is (sorted(left) == sorted(right))


@given(URIS)
def test_digests_are_as_good_as_uris(uris: list[str]) -> None:
    assert UriSum.of_hashes([uri_hash(uri) for uri in uris]) == UriSum.of(uris)
    assert {len(uri_hash(uri)) for uri in uris} <= {16}
    assert len({uri_hash(uri) for uri in uris}) == len(set(uris))


def test_a_sum_has_64_bits_and_counts_any_text() -> None:
    found = UriSum.of([*(f"gs://bucket/{i}" for i in range(1000)), "\udcff"])
    assert found.count == 1001
    assert 0 <= found.hashes < 2**64
