"""What a canary refuses, with the spec forced equal, and what it accepts: small vectors, and a small real backbone."""

import dataclasses
import importlib.util
import json
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import Backbone
from transforms.backbones import load_backbone
from transforms.backbones.engines.tensorflow import use_precision
from transforms.core.errors import RunError, UsageError
from transforms.embed.batches import BatchEmbedder
from transforms.embed.canary import (
    LEAST_COSINE,
    MOST_DIMS,
    Canary,
    Computed,
    Worker,
    check,
    difference,
    least_cosine,
    thinned,
)

WORKER = Worker("tensorflow", "2.21.0", "CPU", "AMD EPYC 7B13", rewrites=True)
SMALL = Backbone("MobileNetV2", weights="random", backbone_kwargs={"alpha": 0.35}, image_size=(64, 64))
VECTORS = np.random.default_rng(0).normal(3, 1, (8, 40)).astype(np.float32)


def cosine_by_hand(found: np.ndarray, expected: np.ndarray) -> float:
    a, b = (v.astype(np.float64) - v.astype(np.float64).mean(axis=0) for v in (found, expected))
    return min(float(np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y))) for x, y in zip(a, b, strict=True))


@given(st.floats(0, 3), st.integers(0, 99))
def test_the_cosine_is_that_of_the_vectors_without_their_mean(noise: float, seed: int) -> None:
    other = VECTORS + noise * np.random.default_rng(seed).normal(0, 1, VECTORS.shape).astype(np.float32)
    for precision, tolerance in (("float32", 1e-4), ("bfloat16", 0.2), ("float16", 0.02)):
        cosine = least_cosine(other, VECTORS, precision)
        assert cosine == pytest.approx(cosine_by_hand(other, VECTORS), abs=tolerance)


def test_one_image_that_differs_is_enough() -> None:
    other = VECTORS.copy()
    other[5] *= -1
    assert least_cosine(other, VECTORS, "float32") < 0


@pytest.mark.parametrize("constant", [0, 1, 1e30])
def test_vectors_that_are_all_the_same_are_equal_but_for_rounding(constant: float) -> None:
    same = np.full((8, 40), constant, np.float32)
    rounded = same * (1 + 1e-6 * np.random.default_rng(0).uniform(-1, 1, same.shape)).astype(np.float32)
    assert difference(Canary(rounded), Canary(same), "float32") == ""
    assert difference(Canary(VECTORS), Canary(same), "float32")
    assert difference(Canary(same), Canary(VECTORS), "float32")


def test_numbers_that_are_not_finite_are_equal_in_the_same_places_alone() -> None:
    holed = VECTORS.copy()
    holed[2, 3], holed[4, :] = np.nan, np.inf
    assert difference(Canary(holed), Canary(holed), "float32") == ""
    assert difference(Canary(VECTORS), Canary(holed), "float32")


def test_vectors_of_another_width_differ() -> None:
    assert least_cosine(VECTORS[:, :39], VECTORS, "float32") == -1


@pytest.mark.parametrize("dims", [1, 40, MOST_DIMS, MOST_DIMS + 1, 25_088])
def test_wide_vectors_are_thinned_evenly(dims: int) -> None:
    places = thinned(np.arange(8 * dims, dtype=np.float32).reshape(8, dims))[0]
    assert len(places) == min(dims, MOST_DIMS)
    assert (places[0], set(np.diff(places)) <= {dims // MOST_DIMS, dims // MOST_DIMS + 1, 1}) == (0, True)


def test_an_entry_of_a_manifest_says_the_canary() -> None:
    canary = Canary(VECTORS, "ab")
    again = Canary.of(json.loads(json.dumps(canary.entry())))
    np.testing.assert_array_equal(again.vectors, VECTORS)
    assert (again.decoding, again.entry()) == ("ab", canary.entry())


def test_a_worker_that_computes_otherwise_is_told_in_one_line_by_how_much() -> None:
    with pytest.raises(RunError) as failure:
        check(Computed(Canary(VECTORS[::-1], "ab"), WORKER), Canary(VECTORS, "ab"), "float32")
    cosine = least_cosine(VECTORS[::-1], VECTORS, "float32")
    assert str(failure.value) == (
        "this worker computes other embeddings than the collection's first run did "
        f"(cosine {cosine:.7g}, at least 0.99999 is needed): tensorflow 2.21.0 on AMD EPYC 7B13; "
        "use the machines and versions that made it, or --existing replace"
    )


@pytest.mark.parametrize("hashes", [("ab", ""), ("", "ab"), ("ab", "ab")])
def test_a_hash_that_nobody_asked_for_is_not_compared(hashes: tuple[str, str]) -> None:
    check(Computed(Canary(VECTORS, hashes[0]), WORKER), Canary(VECTORS, hashes[1]), "float32")


def test_a_first_run_has_nothing_to_compare_with() -> None:
    check(Computed(Canary(VECTORS, "ab"), WORKER), None, "float32")


def test_other_decoders_are_refused() -> None:
    with pytest.raises(RunError, match=r"images decode to other pixels, as of another version of Pillow\)"):
        check(Computed(Canary(VECTORS, "ab"), WORKER), Canary(VECTORS, "cd"), "float32")


def vectors_of(backbone: Backbone, batch_size: int = 16) -> np.ndarray:
    return BatchEmbedder(load_backbone(backbone), backbone.size, batch_size).reference_vectors()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNetV2(
        alpha=0.35, weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3)
    )


@pytest.fixture
def with_weights(model: keras.Model, tmp_path: pathlib.Path) -> Iterator[Callable[[str], Backbone]]:
    """A function that keeps the model's present weights and returns the backbone of them; they are put back."""
    as_built = model.get_weights()

    def keep(name: str) -> Backbone:
        path = tmp_path / f"{name}.weights.h5"
        model.save_weights(path)
        return dataclasses.replace(SMALL, weights=str(path))

    yield keep
    model.set_weights(as_built)


@pytest.mark.exhaustive
def test_other_weights_of_the_same_shape_are_refused(with_weights: Callable[[str], Backbone]) -> None:
    expected = vectors_of(SMALL)
    assert least_cosine(vectors_of(with_weights("other")), expected, "float32") < 0.9


@pytest.mark.exhaustive
def test_one_kernel_that_is_off_by_one_percent_is_refused(
    model: keras.Model, with_weights: Callable[[str], Backbone]
) -> None:
    expected = vectors_of(with_weights("as_built"))
    kernel, random = model.get_layer("Conv1").kernel, np.random.default_rng(0)
    kernel.assign(kernel.numpy() * random.normal(1, 0.01, kernel.shape))
    assert least_cosine(vectors_of(with_weights("perturbed")), expected, "float32") < LEAST_COSINE["float32"]


@pytest.mark.exhaustive
def test_pixels_scaled_otherwise_are_refused() -> None:
    expected = vectors_of(SMALL)
    assert least_cosine(vectors_of(dataclasses.replace(SMALL, normalize=True)), expected, "float32") < 1
    wider = dataclasses.replace(SMALL, image_size=(96, 96))
    assert least_cosine(vectors_of(wider), expected, "float32") < LEAST_COSINE["float32"]


@pytest.mark.exhaustive
def test_bfloat16_in_the_place_of_float32_is_refused() -> None:
    """By OpenVINO, since TensorFlow computes in one precision a process."""
    backbone = dataclasses.replace(SMALL, engine="openvino", precision="bfloat16")
    try:
        found = vectors_of(backbone)
    except UsageError as e:
        pytest.skip(str(e))
    cosine = least_cosine(found, vectors_of(SMALL), "float32")
    assert cosine < LEAST_COSINE["float32"]


@pytest.mark.exhaustive
def test_openvino_computes_what_tensorflow_does() -> None:
    if not importlib.util.find_spec("openvino"):
        pytest.skip("openvino is not installed")
    use_precision("float32")
    expected = vectors_of(SMALL)
    for change in ({"engine": "openvino"}, {"rewrites": False}, {"engine": "openvino", "rewrites": False}):
        found = vectors_of(dataclasses.replace(SMALL, **change))
        assert 1 - least_cosine(found, expected, "float32") < 1e-8


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_the_size_of_the_batch_does_not_matter(engine: str) -> None:
    backbone = dataclasses.replace(SMALL, engine=engine)
    expected = vectors_of(backbone, 64)
    for batch_size in (1, 3, 8, 256):
        assert 1 - least_cosine(vectors_of(backbone, batch_size), expected, "float32") < 1e-8
