"""Hostile SavedModels, which are programs, and paths of what is no file; each with the flags beside `--model`."""

import os
import pathlib
import shutil
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tests.hostile_models.trap import Trap

SIDE = 16
TRUSTED = ["--trust_model", "--preprocess", "raw"]

Make = Callable[[pathlib.Path, Trap], list[str]]
"""Function that makes something in an empty folder: the folder, the trap -> the flags."""


def program(
    function: Callable[..., Any] = lambda image: tf.reduce_mean(image, (1, 2)),
    *inputs: tf.TensorSpec,
    change: Callable[[pathlib.Path, Trap], object] = lambda *_: None,
    flags: list[str] = TRUSTED,
) -> Make:
    """Return what makes the SavedModel of a function of images, or of other inputs, and changes it."""

    def make(folder: pathlib.Path, trap: Trap) -> list[str]:
        module = tf.Module()
        module.weights = tf.Variable(np.ones(3, np.float32))
        signature = list(inputs) or [tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, name="image")]
        module.f = tf.function(function, input_signature=signature)
        tf.saved_model.save(module, str(folder / "program"), module.f)
        change(folder / "program", trap)
        return ["--model", str(folder / "program"), *flags]

    return make


def path(name: str, make: Callable[[pathlib.Path, Trap], object]) -> Make:
    """Return what makes a path that ends as a model's does."""

    def made(folder: pathlib.Path, trap: Trap) -> list[str]:
        make(folder / name, trap)
        return ["--model", str(folder / name), "--preprocess", "raw"]

    return made


def cut(folder: pathlib.Path, _: Trap) -> None:
    whole = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(whole[: len(whole) // 2])


def pipe_instead(name: str) -> Callable[[pathlib.Path, Trap], None]:
    def change(folder: pathlib.Path, _: Trap) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def listening(at: pathlib.Path, _: Trap) -> None:
    # A socket's name is at most some 100 characters long, from where one is.
    before = os.getcwd()
    os.chdir(at.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(at.name)
    finally:
        os.chdir(before)


REFUSED: dict[str, Make] = {
    "not trusted": program(flags=[]),
    "not trusted, runs Python": program(
        lambda image: tf.py_function(lambda x: x, [tf.reduce_mean(image, (1, 2))], tf.float32), flags=[]
    ),
    "not trusted, cannot be read": program(change=pipe_instead("saved_model.pb"), flags=[]),
    "cannot be read": program(change=pipe_instead("saved_model.pb")),
    "weights that cannot be read": program(change=pipe_instead("variables/variables.index")),
    "half a graph": program(change=cut),
    "no graph": program(change=lambda folder, _: (folder / "saved_model.pb").write_bytes(b"junk")),
    "no weights": program(change=lambda folder, _: shutil.rmtree(folder / "variables")),
    "two outputs": program(lambda image: (tf.reduce_mean(image, (1, 2)), tf.reduce_max(image, (1, 2)))),
    "two inputs": program(
        lambda a, b: tf.reduce_mean(a + b, (1, 2)),
        tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "a"),
        tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "b"),
    ),
    "whole numbers": program(
        lambda image: tf.reduce_mean(tf.cast(image, tf.float32), (1, 2)),
        tf.TensorSpec([None, SIDE, SIDE, 3], tf.int32, "image"),
        flags=["--trust_model", "--preprocess", "torch"],
    ),
    "one channel": program(
        lambda image: tf.reduce_mean(image, (1, 2)), tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32, "image")
    ),
    "no rank": program(lambda image: tf.reduce_mean(image, (1, 2)), tf.TensorSpec(None, tf.float32, "image")),
    "pipe": path("a.keras", lambda at, _: os.mkfifo(at)),
    "pipe of ONNX": path("a.onnx", lambda at, _: os.mkfifo(at)),
    "link to a device": path("a.onnx", lambda at, _: at.symlink_to("/dev/zero")),
    "link to the kernel": path("a.keras", lambda at, _: at.symlink_to("/proc/kmsg")),
    "link to itself": path("a.keras", lambda at, _: at.symlink_to(at)),
    "link to nothing": path("a.onnx", lambda at, _: at.symlink_to("nothing")),
    "socket": path("a.keras", listening),
    "folder": path("a.keras", lambda at, _: at.mkdir()),
    "empty folder": path("a", lambda at, _: at.mkdir()),
}
"""By what is wrong with them."""
