"""Names: those on disk are parsed back, those of carried columns are free, and no misspelt one raises."""

import datetime

from hypothesis import example, given
from hypothesis import strategies as st

from transforms.collection.columns import CARRIED_PREFIX, OWN_NAMES, carried_names
from transforms.collection.layout import (
    EMBEDDINGS,
    FAILURES,
    FEATURES,
    MANIFEST,
    FileKind,
    date_of,
    format_of,
    is_scratch,
    name_of,
    new_run_id,
    owner_path,
    path_of,
    run_of,
    scratch_folder,
)
from transforms.core.errors import did_you_mean

KINDS = st.sampled_from([*EMBEDDINGS.values(), FAILURES])
RUN_IDS = (
    st.builds(new_run_id)
    | st.text(st.characters(exclude_characters="/"), min_size=1, max_size=20)
    | st.from_regex(r"[a-z0-9]{0,3}-[0-9]{5,6}-of-[0-9]{5}(\.jsonl)?", fullmatch=True)
)
OUTPUTS = st.sampled_from(["/out", "/out/", "/", "gs://b/out", "gs://b", "gs://b/o [x]*", "/out/parquet", "/.run-x"])


@given(RUN_IDS, KINDS, st.integers(0, 10**6), st.integers(0, 10**6), OUTPUTS)
@example("x-00000-of-00001", FAILURES, 1, 2, "/out")
def test_the_name_of_a_shard_tells_its_run_and_its_format(
    run_id: str, kind: FileKind, index: int, more: int, output: str
) -> None:
    name = kind.shard_name(run_id, index, index + more)
    assert run_of(name) == run_id
    assert EMBEDDINGS.get(format_of(name), FAILURES) == kind
    assert FAILURES.names(name) == (kind == FAILURES)
    assert not is_scratch(name)
    assert name_of(path_of(output, name), output) == name


@given(RUN_IDS, KINDS, OUTPUTS)
def test_the_name_of_a_run_s_own_file_tells_its_run(run_id: str, kind: FileKind, output: str) -> None:
    for path in (owner_path(output, run_id), path_of(scratch_folder(output, run_id), kind.part_name())):
        name = name_of(path, output)
        assert is_scratch(name)
        assert run_of(name) == run_id
        assert format_of(name) == ""


@given(st.text(max_size=40))
@example(MANIFEST)
@example(FEATURES)
@example("embeddings-R-00000-of-00001.parquet")
@example("tfrecord/embeddings-R-00000-of-00001.parquet")
@example("failures/failures--00000-of-00001.jsonl")
@example("x/failures/failures-R-00000-of-00001.jsonl")
def test_a_name_that_no_run_gives_is_of_no_run(name: str) -> None:
    if not name.startswith(".run-"):
        assert run_of(name) == ""


def test_a_run_id_begins_with_its_day() -> None:
    day = datetime.datetime.now(datetime.UTC).date()
    assert datetime.date.fromisoformat(date_of(new_run_id())) - day in (datetime.timedelta(0), datetime.timedelta(1))


OWN = st.sampled_from(sorted(OWN_NAMES))
CARRIED = (
    st.text()
    | OWN
    | st.builds(str.__mul__, st.just(CARRIED_PREFIX), st.integers(0, 3)).flatmap(lambda prefix: OWN.map(prefix.__add__))
)


@given(st.lists(CARRIED, unique=True))
def test_each_carried_column_has_a_name_of_its_own_that_the_output_does_not_need(names: list[str]) -> None:
    """(2d) Otherwise one of two columns would be lost."""
    found = carried_names(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    assert not OWN_NAMES & set(found.values())
    assert all(new.endswith(name) for name, new in found.items())
    # A retry carries the columns of the first run under the names that they have already.
    assert carried_names(found.values()) == {new: new for new in found.values()}


@given(st.text(), st.lists(st.text()))
@example("İ", ["i̇", "I"])
@example("", [""])
def test_a_suggestion_is_a_known_word_or_none(word: str, known: list[str]) -> None:
    assert did_you_mean(word, known) in {"", *(f" (did you mean {candidate!r}?)" for candidate in known)}
