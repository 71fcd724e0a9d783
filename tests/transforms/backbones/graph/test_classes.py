"""Names of classes: WordNet's for ImageNet's thousand, the index for any other top."""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from tests.conftest import answer
from transforms.backbones.graph import classes
from transforms.backbones.graph.classes import top_classes
from transforms.core.errors import UsageError


@pytest.fixture
def _no_names_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither Keras nor this project has read the list of names."""
    module = sys.modules[keras.applications.imagenet_utils.decode_predictions.__module__]
    monkeypatch.setattr(module, "CLASS_INDEX", None)
    classes._names.cache_clear()
    yield
    classes._names.cache_clear()


def test_classes_of_another_top_are_known_by_their_index() -> None:
    assert top_classes(np.array([[0.1, 0.7, 0.2]], np.float32), 2) == [
        (("1", "1", pytest.approx(0.7)), ("2", "2", pytest.approx(0.2)))
    ]


def test_each_image_has_its_own_best_classes() -> None:
    scores = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], np.float32)
    assert [[name for _, name, _ in image] for image in top_classes(scores, 2)] == [["0", "1"], ["2", "1"]]


def test_there_are_no_more_classes_than_the_top_has() -> None:
    (image,) = top_classes(np.array([[0.4, 0.6]], np.float32), 5)
    assert [name for _, name, _ in image] == ["1", "0"]


def test_scores_are_numbers_that_json_takes() -> None:
    (image,) = top_classes(np.array([[0.25, 0.75]], np.float32), 1)
    assert json.loads(json.dumps(image)) == [["1", "1", 0.75]]


def test_classes_of_imagenet_have_ids_and_names_of_wordnet(test_data: pathlib.Path) -> None:
    # Keras reads KERAS_HOME at its import.
    code = """if True:
        import json
        import numpy as np
        from transforms.backbones.graph.classes import top_classes
        scores = np.zeros((1, 1000), np.float32)
        scores[0, [0, 281, 999]] = 0.2, 0.5, 0.3
        print(json.dumps(top_classes(scores, 3)))
    """
    environment = {**os.environ, "KERAS_HOME": str(test_data / "keras_home")}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    (found,) = json.loads(result.stdout)
    assert [(wnid, name) for wnid, name, _ in found] == [
        ("n02123045", "tabby"),
        ("n15075141", "toilet_tissue"),
        ("n01440764", "tench"),
    ]


@pytest.mark.usefixtures("_no_names_yet")
def test_a_list_of_names_that_cannot_be_had_is_told_with_the_way_out(
    serve: object, own_keras_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[keras.applications.imagenet_utils.decode_predictions.__module__]
    address = serve(lambda request: answer(request, 404))
    monkeypatch.setattr(module, "CLASS_INDEX_PATH", f"{address}/imagenet_class_index.json")
    with pytest.raises(UsageError, match="the ImageNet class names cannot be downloaded") as error:
        top_classes(np.zeros((1, 1000), np.float32), 1)
    assert f"put imagenet_class_index.json into {own_keras_home}/models, or run without --top_k" in str(error.value)
