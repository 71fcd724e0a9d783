"""The files of the projector, by the names that its configuration gives them.

https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin
"""

import json

import numpy as np

from pipelines.projector.points import Points
from pipelines.projector.sprite import Sprite
from pipelines.similar.tables import replaced
from transforms.collection.layout import path_of
from transforms.core.errors import UsageError, one_line
from transforms.core.printable import printable
from transforms.storage.files import delete

CONFIG, VECTORS, METADATA, SPRITE = "projector_config.pbtxt", "tensors.tsv", "metadata.tsv", "sprite.jpg"
DIGITS = "%.6g"
"""Of a number: cosines are off by less than 1e-5, and no point is drawn so exactly."""


def write_files(folder: str, name: str, points: Points, sprite: Sprite | None) -> None:
    """Write all files; the one that names the others is last, and away while they change.

    Args:
      folder: their folder, on any Beam filesystem.
      name: what the projector calls the points.
      points: the points.
      sprite: their pictures; None draws dots.

    Raises:
      UsageError: one cannot be written.
    """
    try:
        delete([path_of(folder, CONFIG)])
    except OSError as e:
        raise UsageError(f"cannot write --out {folder}: {one_line(e)}") from e
    with replaced(path_of(folder, VECTORS)) as local:
        np.savetxt(local, points.vectors, DIGITS, delimiter="\t")
    with replaced(path_of(folder, METADATA)) as local:
        _write_text(local, metadata_of(points))
    if sprite:
        with replaced(path_of(folder, SPRITE)) as local:
            sprite.write(local)
    with replaced(path_of(folder, CONFIG)) as local:
        _write_text(local, config_of(name, points, sprite))


def metadata_of(points: Points) -> str:
    """Return the uri and the carried columns of each point; of one column, the projector takes no header."""
    columns = {"uri": points.uris, **points.columns}
    lines = [*([list(columns)] if len(columns) > 1 else []), *zip(*columns.values(), strict=True)]
    # Tabs and line ends are escaped, for which the format has no way of its own.
    return "".join("\t".join(map(printable, line)) + "\n" for line in lines)


def config_of(name: str, points: Points, sprite: Sprite | None) -> str:
    """Return the configuration, a ProjectorConfig in Protocol Buffers' text format."""
    height, width = points.vectors.shape
    fields = [
        f"tensor_name: {json.dumps(name, ensure_ascii=False)}",
        f"tensor_shape: [{height}, {width}]",
        f'tensor_path: "{VECTORS}"',
        f'metadata_path: "{METADATA}"',
    ]
    if sprite:
        fields.append(f'sprite {{ image_path: "{SPRITE}" single_image_dim: [{sprite.side}, {sprite.side}] }}')
    return "embeddings {\n" + "".join(f"  {field}\n" for field in fields) + "}\n"


def _write_text(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(text)
