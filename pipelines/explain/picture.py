"""The picture that a backbone sees, as a file."""

import numpy as np
import PIL.Image

from pipelines.similar.tables import replaced


def write_picture(path: str, pixels: np.ndarray) -> None:
    """Write pixels to a PNG, which appears once it is complete: uint8 [H, W, 3].

    Raises:
      UsageError: it cannot be written.
    """
    with replaced(path) as local:
        PIL.Image.fromarray(pixels).save(local, "PNG")
