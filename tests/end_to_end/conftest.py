"""What the tests of kills, races and resuming share."""

from collections.abc import Iterator

import pytest

from tests.forked_runs import ForkedRuns


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedRuns]:
    """Runs in forked processes, which keep graphs in a cache of their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EMBED_IMAGES_CACHE", str(tmp_path_factory.mktemp("cache")))
        with ForkedRuns() as runs:
            yield runs
