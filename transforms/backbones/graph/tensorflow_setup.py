"""TensorFlow, as it is imported here: with oneDNN, and silent where TF_CPP_MIN_LOG_LEVEL asks for that."""

import contextlib
import os
import sys
from collections.abc import Iterator

# Its own choice is to leave oneDNN out where there is no AVX-512, at half the speed for MobileNetV2.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    # Its libraries print before they read the level.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


with _silenced():
    import tensorflow as tf
    from tensorflow.python.client import device_lib
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    tf.config.list_physical_devices()

__all__ = ["convert_variables_to_constants_v2", "device_lib", "tf"]
