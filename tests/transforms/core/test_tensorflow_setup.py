"""TensorFlow is set up where it is imported: with oneDNN, and silent only where that is asked for."""

import os
import subprocess
import sys

import pytest

IMPORT = "from transforms.core.tensorflow_setup import tf; "


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that has not imported TensorFlow."""
    names = ("TF_", "CUDA_", "ONEDNN")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**environment, **variables}
    )


def test_nothing_is_printed_where_silence_is_asked_for_and_later_errors_are_seen() -> None:
    code = IMPORT + "import sys; print(tf.__name__); print('later', file=sys.stderr); sys.stderr.flush()"
    code += "; import os; os.write(2, b'and below')"
    result = python(code, TF_CPP_MIN_LOG_LEVEL="3")
    assert (result.stdout, result.stderr) == ("tensorflow\n", "later\nand below")


@pytest.mark.exhaustive
def test_what_is_written_while_the_libraries_load_is_shown_unless_silence_is_asked_for() -> None:
    # A library of C writes to the file descriptor: a module that TensorFlow imports stands for one.
    code = "import importlib.abc, os, sys\n"
    code += "class Noisy(importlib.abc.MetaPathFinder):\n"
    code += "    def find_spec(self, name, path, target=None):\n"
    code += "        if name == 'tensorflow': os.write(2, b'noise of C')\n"
    code += f"sys.meta_path.insert(0, Noisy())\n{IMPORT}"
    assert "noise of C" in python(code, TF_CPP_MIN_LOG_LEVEL="2").stderr
    assert python(code, TF_CPP_MIN_LOG_LEVEL="3").stderr == ""


@pytest.mark.exhaustive
@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_onednn_is_on_unless_a_person_says_otherwise(given: dict[str, str], expected: str) -> None:
    code = IMPORT + "import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert python(code, TF_CPP_MIN_LOG_LEVEL="3", **given).stdout.strip() == expected


def test_what_it_gives_is_tensorflow() -> None:
    import tensorflow

    from transforms.core import tensorflow_setup

    assert tensorflow_setup.tf is tensorflow
    assert all(hasattr(tensorflow_setup, name) for name in tensorflow_setup.__all__)
    assert {device.device_type for device in tensorflow_setup.device_lib.list_local_devices()} >= {"CPU"}
