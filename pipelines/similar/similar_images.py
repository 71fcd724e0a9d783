"""Find what resembles what in a collection, print it, and write it to a file.

similar-images --embeddings embeddings/ --to photo.jpg
"""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence

import numpy as np

from pipelines.console.exit_codes import DONE
from pipelines.console.lines import say
from pipelines.console.progress import LiveLine
from pipelines.launch.beam_pipeline import billed
from pipelines.options.command_line import check_beam_flags
from pipelines.options.commands.similar import ABOVE, PAGE, TOP, Settings, parser
from pipelines.similar.collection import Collection, open_collection
from pipelines.similar.many_workers import pairs_by_beam
from pipelines.similar.matrix import matrix_of
from pipelines.similar.page import page_of
from pipelines.similar.queries import Query, queries_of
from pipelines.similar.tables import Match, check_out, replaced, write_table
from pipelines.similar.thumbnails import thumbnails_of
from transforms.core.errors import UsageError
from transforms.measure.groups import Groups
from transforms.measure.nearest import nearest
from transforms.measure.pairs import Pair, comparisons, pairs_above, pairs_of

GROUPS_SHOWN, MEMBERS_SHOWN = 20, 10
"""Groups that are printed, and images of each."""


def run(settings: Settings, beam_args: list[str]) -> int:
    """Find, print and write what the settings ask for; return the exit code of the command.

    Raises:
      UsageError: something cannot work; one line says what to do.
      RunError: the work began and failed.
      Interrupted: a signal ended it.
    """
    if settings.to and beam_args:
        check_beam_flags(beam_args, own=parser)
        raise UsageError(f"{beam_args[0].partition('=')[0]} is for --pairs: one photo needs no workers")
    if settings.out:
        check_out(settings.out)
    if settings.billing_project:
        told = billed(settings.billing_project, beam_args)
        # Flags alone would already ask for workers.
        beam_args = told if beam_args else []
    collection = open_collection(settings.embeddings)
    if settings.to:
        print_nearest(settings, collection)
    else:
        above = ABOVE if settings.above is None else settings.above
        found = pairs_by_beam(collection, above, settings, beam_args) if beam_args else pairs_here(collection, above)
        # So that the live line is gone before an error is told.
        with contextlib.closing(found) as pairs:
            print_groups(settings, collection, above, pairs)
    return DONE


def print_nearest(settings: Settings, collection: Collection) -> None:
    """Print what is nearest to each image that is asked for, and write it."""
    with matrix_of(collection) as matrix:
        queries = queries_of(settings, collection, matrix)
        wanted = np.stack([one.vector for one in queries])
        found = nearest(matrix.vectors, wanted, settings.top or TOP, [one.row for one in queries])
        matches = {
            query.uri: [
                Match(query.uri, rank, uri, one.cosine)
                for rank, (one, uri) in enumerate(zip(near, matrix.uris_of([one.row for one in near]), strict=True), 1)
            ]
            for query, near in zip(queries, found, strict=True)
        }
    for query in queries:
        say(*lines_of(query, matches[query.uri]))
    if settings.out.lower().endswith(PAGE):
        write_page(settings, collection, matches)
    elif settings.out:
        write_table(settings.out, Match, (match for some in matches.values() for match in some))


def lines_of(query: Query, matches: Sequence[Match]) -> Iterator[str]:
    """Yield what a person reads of an image that was asked for."""
    yield query.uri
    if not query.vector.any():
        yield "  its embedding is zero or not finite, and resembles nothing"
    for match in matches:
        yield f"  {match.cosine:7.4f}  {match.uri}"


def write_page(settings: Settings, collection: Collection, matches: dict[str, list[Match]]) -> None:
    """Write the page of pictures."""
    uris = [uri for to, some in matches.items() for uri in (to, *(match.uri for match in some))]
    pictures = thumbnails_of(uris, settings, collection.spec)
    searched = f"among {collection.rows:,} images of {settings.embeddings}, embedded by {collection.spec.backbone}"
    with replaced(settings.out) as local, open(local, "w", encoding="utf-8") as f:
        f.write(page_of(matches, pictures, searched))


def pairs_here(collection: Collection, above: float) -> Generator[Pair]:
    """Find all pairs in this process."""
    total = comparisons(collection.rows, collection.spec.dim)
    with matrix_of(collection) as matrix, LiveLine() as line:
        for done, some in enumerate(pairs_above(matrix.vectors, above), 1):
            yield from pairs_of(matrix.uris_of(some.a), matrix.uris_of(some.b), some.cosines)
            line.show_share("comparing", done, total)


def print_groups(settings: Settings, collection: Collection, above: float, pairs: Iterable[Pair]) -> None:
    """Write pairs while they are found, and print the groups that they form."""
    groups: Groups[str] = Groups()
    count = 0

    def noted() -> Iterator[Pair]:
        nonlocal count
        for pair in pairs:
            groups.join(pair.uri_a, pair.uri_b)
            count += 1
            yield pair

    if settings.out:
        write_table(settings.out, Pair, noted())
    else:
        for _ in noted():
            pass
    found = groups.found()
    say(
        f"pairs   {count:,} with a cosine of at least {above:g}, among {collection.rows:,} images",
        f"groups  {len(found):,}, of {sum(map(len, found)):,} images in all",
        *(line for group in found[:GROUPS_SHOWN] for line in _lines_of_group(group)),
    )
    if len(found) > GROUPS_SHOWN:
        say(f"        and {len(found) - GROUPS_SHOWN:,} more, none of them larger")


def _lines_of_group(group: Sequence[str]) -> Iterator[str]:
    for i, uri in enumerate(group[:MEMBERS_SHOWN]):
        yield f"{'' if i else f'{len(group):,}':>6}  {uri}"
    if len(group) > MEMBERS_SHOWN:
        yield f"        and {len(group) - MEMBERS_SHOWN:,} more"
