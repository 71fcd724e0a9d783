"""The only import of TensorFlow: with oneDNN on, and silent if TF_CPP_MIN_LOG_LEVEL is 3."""

import contextlib
import os
import sys
from collections.abc import Iterator

# Without AVX-512, TensorFlow leaves oneDNN off by default, which halves the speed of MobileNetV2.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    # TensorFlow's libraries print before they read the level.
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
