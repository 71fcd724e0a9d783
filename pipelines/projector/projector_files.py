"""Write what TensorBoard's embedding projector loads.

projector-files --embeddings embeddings/ --out projector/
"""

from collections.abc import Iterator

from pipelines.console.exit_codes import DONE
from pipelines.console.lines import say
from pipelines.launch.beam_pipeline import billed
from pipelines.options.commands.projector import Settings
from pipelines.projector.files import write_files
from pipelines.projector.points import points_of
from pipelines.projector.sprite import Sprite, sprite_of
from pipelines.similar.collection import open_collection
from pipelines.similar.tables import check_out_folder
from transforms.core.errors import UsageError
from transforms.storage.paths import canonical_uri


def run(settings: Settings) -> int:
    """Write the files that the settings ask for; return the exit code of the command.

    Raises:
      UsageError: something cannot work; one line says what to do.
      RunError: a file of the collection cannot be read.
      Interrupted: a signal ended it.
    """
    check_out_folder(settings.out)
    if canonical_uri(settings.out) == canonical_uri(settings.embeddings):
        raise UsageError(f"--out {settings.out} is the collection itself; choose another folder")
    if settings.billing_project:
        billed(settings.billing_project, ())
    collection = open_collection(settings.embeddings)
    points = points_of(collection, settings.limit)
    say(f"points    {len(points.uris):,} of {collection.rows:,} images")
    sprite = None if settings.no_pictures else sprite_of(points.uris, settings, collection.spec)
    if sprite:
        say(*_lines_of(sprite, len(points.uris)))
        if sprite.lacks.total() == len(points.uris):
            # Dots tell more than grey squares.
            sprite = None
    write_files(settings.out, collection.spec.backbone, points, sprite)
    say(f"written   {settings.out}; to look at it: tensorboard --logdir {settings.out}")
    return DONE


def _lines_of(sprite: Sprite, points: int) -> Iterator[str]:
    lost = sprite.lacks.total()
    yield f"pictures  {points - lost:,} of {sprite.side} x {sprite.side} px"
    if lost:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sprite.lacks.most_common())
        yield f"          {lost:,} could not be had: {reasons}"
