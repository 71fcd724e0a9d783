"""Take one image through the stages of a worker, and print what each of them made of it.

explain-image --input photo.jpg
"""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator

from pipelines.console.exit_codes import DONE, OVER_BUDGET
from pipelines.console.lines import say
from pipelines.explain import decisions
from pipelines.explain.how import How, how_of
from pipelines.explain.picture import write_picture
from pipelines.explain.stored import Stored, cosine_of, neighbours_of, stored_of
from pipelines.explain.way import Way, way_of
from pipelines.launch.beam_pipeline import billed
from pipelines.options.commands.explain import Settings
from pipelines.plan.stages import fetch_within
from pipelines.similar.collection import Collection
from pipelines.similar.matrix import matrix_of
from pipelines.similar.tables import check_out
from transforms.core.elements import ImageUri
from transforms.core.errors import UsageError
from transforms.embed.canary import LEAST_COSINE
from transforms.read.formats.list_files import is_uri_list
from transforms.read.other_files import other_file, refuse_other_files, refuse_pages
from transforms.storage.gcs import check_access
from transforms.storage.paths import canonical_uri, is_file, scheme_of
from transforms.storage.schemes import WEB

NAMES = 12
"""Columns of what a line is about, with the margin before it."""


def run(settings: Settings) -> int:
    """Explain what becomes of an image; return the exit code: as of a run of it alone.

    Raises:
      UsageError: something cannot work; one line says what to do.
      RunError: this machine computes otherwise than the one that made the collection.
    """
    if settings.billing_project:
        billed(settings.billing_project, [])
    check_image(settings.input)
    if settings.out:
        check_out(settings.out)
        if canonical_uri(settings.out) == canonical_uri(settings.input):
            raise UsageError(f"--out {settings.out} is the image itself, which would be replaced; choose another")
    how = how_of(settings)
    way = way_of(ImageUri(canonical_uri(settings.input)), fetch_within(settings).function, how.decode, how.embedder)
    if way.pixels and settings.out:
        write_picture(settings.out, way.pixels.by_size[how.backbone.size])
    say(*way_lines(way, how))
    if settings.out:
        say(_line("picture", f"{settings.out}, as the backbone sees it" if way.pixels else "none: it is not decoded"))
    if how.collection:
        say(*collection_lines(way, settings, how.collection))
    return DONE if way.embedding else OVER_BUDGET


def check_image(path: str) -> None:
    """Refuse what is not one image by its name.

    Raises:
      UsageError: the line says what to do.
    """
    check_access([path])
    if scheme_of(path) in WEB:
        refuse_pages(path)
        return
    refuse_other_files(path)
    if is_uri_list(path):
        raise UsageError(f"--input {path} is a uri list; name one of its images")
    if os.path.isdir(path):
        raise UsageError(f"--input {path} is a folder; name one of its images")
    if glob.has_magic(path) and not is_file(path):
        raise UsageError(f"--input {path} is a glob; name one of its images")


def way_lines(way: Way, how: How) -> Iterator[str]:
    """Yield what a person reads of the way of an image: a stage's name, its time, its decisions."""
    yield way.source.uri
    if not_fetched := other_file(way.source.uri):
        yield _line("read", f"of a folder it would not be fetched: {not_fetched}")
    for stage, seconds in way.seconds.items():
        first, *others = _decisions(stage, way, how)
        yield _line(stage, f"{seconds * 1000:9,.1f} ms  {first}")
        yield from (_line("", f"{'':14}{one}") for one in others)
    if way.embedding:
        yield _line("vector", decisions.measured(way.embedding.embedding))
        yield from _lines("classes", (f"{score:.4f}  {name} ({id_})" for id_, name, score in way.embedding.top))


def _decisions(stage: str, way: Way, how: How) -> Iterator[str]:
    if stage == "fetch" and way.image:
        yield decisions.fetched(way.image)
    if stage == "decode" and way.image:
        # Of an image that fails, what its header says.
        told = None if way.pixels else 1
        yield from itertools.islice(decisions.decoded(way.image.data, how.decode), told)
    if stage == "load" and way.computed:
        yield from decisions.loaded(how.backbone, way.computed.worker)
    if stage == "embed" and way.embedding:
        yield from decisions.embedded(way.embedding, how.spec())
    if way.failure and way.failure.stage == stage:
        yield from decisions.failed(way.failure)


def collection_lines(way: Way, settings: Settings, collection: Collection) -> Iterator[str]:
    """Yield what the collection holds of the image, whether it is what comes out now, and the nearest rows."""
    with matrix_of(collection) as matrix:
        stored = stored_of(settings.input, collection, canonical_uri(settings.embeddings), matrix)
        yield from _lines("stands", agreement(way, stored, collection.spec.precision))
        if way.embedding:
            near = neighbours_of(way.embedding.embedding, stored, matrix, settings.top)
            yield from _lines("nearest", (f"{cosine:7.4f}  {uri}" for cosine, uri in near))


def agreement(way: Way, stored: Stored, precision: str) -> Iterator[str]:
    """Say what a collection holds of an image, and whether it is what comes out now."""
    if stored.embedding:
        facts, now = stored.embedding.facts, way.pixels.facts if way.pixels else None
        yield f"a row: {facts.format} of {facts.width} x {facts.height} px"
        if now and now.sha256 != facts.sha256:
            yield "it is of other bytes: the image has changed since"
        if way.embedding:
            cosine = cosine_of(stored.embedding.embedding, way.embedding.embedding)
            agrees = "agrees with" if cosine >= LEAST_COSINE[precision] else "differs from"
            yield f"it {agrees} what comes out now: cosine {cosine:.7f}"
    if then := stored.failure:
        same = way.failure and (way.failure.stage, way.failure.reason) == (then.stage, then.reason)
        now_too = "as it comes out now" if same else "and not what comes out now"
        yield f"a failure, {now_too}: {then.stage}, {then.reason} ({then.kind})"
    if not stored.embedding and not stored.failure:
        yield "neither a row nor a failure: no run has met it, or another uri names it"


def _lines(name: str, texts: Iterable[str]) -> Iterator[str]:
    """Yield lines of which the first one has the name."""
    for i, text in enumerate(texts):
        yield _line("" if i else name, text)


def _line(name: str, text: str) -> str:
    return f"  {name:<{NAMES - 2}}{text}"
