"""Each preprocessing gives the numbers of those whose name it has, from pixels to the input of a SavedModel."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.options.flags import parser
from tests.transforms.backbones.conftest import KERAS_ENGINES, PIXELS
from transforms import Backbone, embedding_spec
from transforms.backbones import load_backbone, own_backbone
from transforms.backbones.preprocessing import CHOICES, PREPROCESSINGS, canonical, parse
from transforms.core.errors import UsageError

OF_KERAS = keras.applications.imagenet_utils.preprocess_input
CLIP = np.array([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
"""Mean and standard deviation of the images that OpenAI's CLIP was trained on."""
EXPECTED = {
    "raw": lambda x: x,
    "unit": lambda x: x / 255,
    "tf": lambda x: OF_KERAS(x.copy(), mode="tf"),
    "torch": lambda x: OF_KERAS(x.copy(), mode="torch"),
    "caffe": lambda x: OF_KERAS(x.copy(), mode="caffe"),
    "clip": lambda x: (x / 255 - CLIP[0]) / CLIP[1],
    "mean=0.5,std=0.25": lambda x: (x / 255 - 0.5) / 0.25,
    "mean=0.1,0.2,0.3,std=0.4,0.5,0.6": lambda x: (x / 255 - [0.1, 0.2, 0.3]) / [0.4, 0.5, 0.6],
}
"""What each way should make of RGB of 0 to 255: the modes of Keras, and formulas as their users write them."""


@pytest.fixture(scope="session")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SavedModel that returns its input."""
    path = str(tmp_path_factory.mktemp("seeing") / "saved")
    image = tf.TensorSpec([None, 64, 64, 3])
    flat = tf.function(lambda x: tf.reshape(x, [-1, 64 * 64 * 3]), input_signature=[image])
    tf.saved_model.save(tf.Module(), path, signatures=flat)
    return path


def of(seeing: str, **arguments: object) -> Backbone:
    return own_backbone(seeing, trust_model=True, **arguments)


def test_the_references_cover_every_way() -> None:
    assert {*PREPROCESSINGS} == {name for name in EXPECTED if "=" not in name}
    assert CHOICES.startswith(", ".join(PREPROCESSINGS))


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_the_flag_s_help_names_every_way(name: str) -> None:
    (flag,) = (action for action in parser()._actions if action.dest == "preprocess")
    assert re.search(rf"\b{name}\b", flag.help)


@pytest.mark.parametrize("engine", KERAS_ENGINES)
@pytest.mark.parametrize("name", EXPECTED)
def test_a_saved_model_sees_what_it_was_trained_on(name: str, engine: str, seeing: str) -> None:
    """(3f) A network that is fed on another scale still gives vectors, at a cosine of 0.4 to the right ones."""
    found = load_backbone(of(seeing, preprocess=name, engine=engine))(PIXELS)
    expected = EXPECTED[name](PIXELS.astype(np.float32))
    np.testing.assert_allclose(found, expected.reshape(len(PIXELS), -1), rtol=1e-5, atol=1e-4)


def test_the_spec_of_each_way_is_another(seeing: str) -> None:
    specs = {name: embedding_spec(of(seeing, preprocess=name)) for name in EXPECTED}
    assert len({spec.fingerprint for spec in specs.values()}) == len(EXPECTED)
    assert specs["torch"].preprocess == "torch"
    assert specs["mean=0.5,std=0.25"].preprocess == "mean=0.5,0.5,0.5,std=0.25,0.25,0.25"
    # What all had before the choice was one.
    assert "preprocess" not in embedding_spec(Backbone(weights="random", image_size=(32, 32))).to_json()


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("Torch", "torch"),
        ("backbone", "backbone"),
        ("mean=.5, std=.25", "mean=0.5,0.5,0.5,std=0.25,0.25,0.25"),
        ("mean=0,0.5,1,std=1", "mean=0.0,0.5,1.0,std=1.0,1.0,1.0"),
    ],
)
def test_one_way_has_one_spelling(typed: str, spelled: str) -> None:
    assert canonical(typed) == canonical(spelled) == spelled
    assert Backbone(preprocess=typed).key == Backbone(preprocess=spelled).key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("imagenet", "must be backbone, raw, unit, tf, torch, caffe, clip, or mean=R,G,B,std=R,G,B, is 'imagenet'"),
        ("mean=0.5", "is 'mean=0.5'"),
        ("mean=0.5,0.5,std=0.5", "needs 1 or 3 numbers for mean and for std"),
        ("mean=a,std=0.5", "needs 1 or 3 numbers for mean and for std"),
        ("mean=123.7,116.8,103.9,std=58.4,57.1,57.4", "divide those of pixels by 255"),
        ("mean=0.5,std=0", "of values from 0 to 1"),
        ("mean=nan,std=0.5", "of values from 0 to 1"),
    ],
)
def test_what_is_no_way_is_told_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
