"""ONNX models give the vectors that ONNX's own reference gives, whatever the exporter left of their shapes."""

import pathlib
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

from tests.transforms.backbones.own.conftest import PIXELS, SIDE, cosine, fine_tuned, network, refused, saved, up_to
from transforms import embedding_spec
from transforms.backbones import load_backbone, note_of, own_backbone
from transforms.backbones.own import header
from transforms.core.errors import UsageError

SCALED = (PIXELS / np.float32(127.5) - 1).astype(np.float32)
TF = {"preprocess": "tf", "engine": "openvino"}


def reference(model: ModelProto, output: str, images: np.ndarray) -> Any:
    """Return what ONNX's reference implementation gives, one image at a time."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    if output not in [one.name for one in whole.graph.output]:
        whole.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    run = ReferenceEvaluator(whole)
    return np.concatenate([run.run([output], {"image": image[None]})[0] for image in images])


@pytest.mark.parametrize("batch", ["N", 1])
@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("side", [SIDE, "side"])
def test_an_exported_classifier_gives_the_vectors_before_its_classes(
    batch: str | int, channels_first: bool, side: str | int, tmp_path: pathlib.Path
) -> None:
    model = network(batch, side, channels_first)
    size = None if side == SIDE else (SIDE, SIDE)
    backbone = own_backbone(str(saved(model, tmp_path / "a.onnx")), image_size=size, **TF)
    images = SCALED.transpose(0, 3, 1, 2) if channels_first else SCALED
    assert cosine(load_backbone(backbone)(PIXELS), reference(model, "vector", images)) > 0.99999
    assert embedding_spec(backbone).output == "layer:vector:avg"
    says = "the output of vector, without the classifier scores and softmax; its input is made by --preprocess tf"
    assert note_of(backbone) == says


@pytest.mark.parametrize(
    ("end", "pooling", "pooled"),
    [
        ("maps", "avg", lambda x: x.mean((2, 3))),
        ("maps", "max", lambda x: x.max((2, 3))),
        ("maps", "flatten", lambda x: x.reshape(len(x), -1)),
        ("tokens", "avg", lambda x: x.mean(1)),
        ("tokens", "max", lambda x: x.max(1)),
        ("tokens", "cls", lambda x: x[:, 0]),
        ("tokens", "flatten", lambda x: x.reshape(len(x), -1)),
        ("vector", "avg", lambda x: x),
        ("scores", "avg", lambda x: x),
    ],
)
def test_its_own_output_is_pooled(end: str, pooling: str, pooled: Any, tmp_path: pathlib.Path) -> None:
    model = network(end=end)
    backbone = own_backbone(str(saved(model, tmp_path / "a.onnx")), pooling=pooling, **TF)
    expected = pooled(reference(model, end, SCALED.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(load_backbone(backbone)(PIXELS), expected, rtol=1e-4, atol=1e-4)


def test_maps_that_come_out_with_their_channels_last_are_pooled_so(tmp_path: pathlib.Path) -> None:
    """Exporters of TensorFlow turn the images, and the output back."""
    model = network(end="maps", channels_first=False)
    model.graph.node.append(helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1]))
    model.graph.output[0].name = "last"
    found = load_backbone(own_backbone(str(saved(model, tmp_path / "a.onnx")), **TF))(PIXELS)
    np.testing.assert_allclose(found, reference(model, "last", SCALED).mean((1, 2)), rtol=1e-4)


def test_a_layer_is_any_value_by_its_name_and_vectors_can_be_normalized(tmp_path: pathlib.Path) -> None:
    model = network()
    path = saved(model, tmp_path / "a.onnx")
    expected = reference(model, "raw", SCALED.transpose(0, 3, 1, 2)).max((2, 3))
    found = load_backbone(own_backbone(str(path), layer="raw", pooling="max", normalize=True, **TF))(PIXELS)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-4)
    assert "has no 'raws' (did you mean 'raw'?)" in refused(path, layer="raws", **TF)
    assert "has no 'nothing'; its outputs are softmax" in refused(path, layer="nothing", **TF)
    assert "--pooling cls takes the first token" in refused(saved(network(end="maps"), path), pooling="cls", **TF)


def test_of_several_outputs_one_has_to_be_named(tmp_path: pathlib.Path) -> None:
    model = network()
    model.graph.output.append(helper.make_tensor_value_info("vector", TensorProto.FLOAT, None))
    path = saved(model, tmp_path / "a.onnx")
    assert "has the outputs softmax, vector; choose one with --layer" in refused(path, **TF)
    found = load_backbone(own_backbone(str(path), layer="vector", **TF))(PIXELS)
    assert cosine(found, reference(model, "vector", SCALED.transpose(0, 3, 1, 2))) > 0.99999


@pytest.mark.parametrize("preprocess", ["raw", "unit", "torch", "caffe", "clip", "mean=0.1,0.2,0.3,std=0.5,0.6,0.7"])
def test_its_input_is_made_as_it_is_told(preprocess: str, tmp_path: pathlib.Path) -> None:
    from transforms.backbones.preprocessing import parse

    model = network(end="vector")
    backbone = own_backbone(str(saved(model, tmp_path / "a.onnx")), preprocess=preprocess, engine="openvino")
    images = parse(preprocess)(PIXELS.astype(np.float32)).astype(np.float32).transpose(0, 3, 1, 2)
    assert cosine(load_backbone(backbone)(PIXELS), reference(model, "vector", images)) > 0.99999


def test_a_graph_that_holds_a_batch_of_one_is_refused(tmp_path: pathlib.Path) -> None:
    model = network(batch=1, end="vector")
    (flatten,) = [node for node in model.graph.node if node.op_type == "Flatten"]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, -1], np.int64), "one_row"))
    flatten.CopyFrom(helper.make_node("Reshape", ["one", "one_row"], ["vector"]))
    said = refused(saved(model, tmp_path / "a.onnx"), **TF)
    assert "it was exported for batches of 1: export it with a dynamic batch" in said


def test_operators_that_openvino_does_not_know_and_weights_that_are_nan_are_told(tmp_path: pathlib.Path) -> None:
    model = network()
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    relu.op_type = "NotYetInvented"
    said = refused(saved(model, tmp_path / "new.onnx"), **TF)
    assert said.startswith("OpenVINO cannot read --model")
    assert "NotYetInvented" in said
    model = network()
    kernel = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    kernel[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel, "kernel"))
    assert "cannot be used: kernel has values that are NaN" in refused(saved(model, tmp_path / "nan.onnx"), **TF)


def test_only_openvino_reads_it_and_no_gpu_is_left_idle_unasked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(network(), tmp_path / "a.onnx")
    said = refused(path, preprocess="tf", engine="tensorflow")
    assert said == "--engine tensorflow does not read ONNX; use --engine openvino"
    monkeypatch.setattr("transforms.backbones.backbone.has_gpu", lambda: True)
    assert "this machine has a GPU; --engine openvino leaves that idle" in refused(path, preprocess="tf", engine="auto")
    assert load_backbone(own_backbone(str(path), **TF))(PIXELS).shape == (5, 8)


def test_a_kept_graph_is_found_and_known_by_its_data(tmp_path: pathlib.Path, own_cache: pathlib.Path) -> None:
    saved(network(), tmp_path / "a.onnx", beside="a.data")
    first = embedding_spec(own_backbone(str(tmp_path), **TF))
    assert [path.name for path in own_cache.glob("*/graph/model.xml")] == ["model.xml"]
    data = bytearray((tmp_path / "a.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "a.data").write_bytes(data)
    # Another choice, since a loaded backbone stays loaded.
    second = embedding_spec(own_backbone(str(tmp_path), normalize=True, **TF))
    assert second.weights_sha256 != first.weights_sha256
    assert len(list(own_cache.glob("*/graph/model.xml"))) == 2


def test_keras_own_export_gives_the_vectors_of_keras(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("tf2onnx", reason="Keras exports to ONNX by tf2onnx, which is not installed")
    # Its augmentation has no counterpart in ONNX.
    model = fine_tuned(augmented=False)
    expected = up_to(model, "pooled")
    model.predict(PIXELS.astype(np.float32), verbose=0)
    model.export(tmp_path / "a.onnx", format="onnx", verbose=False)
    backbone = own_backbone(str(tmp_path / "a.onnx"), preprocess="raw", engine="openvino")
    assert cosine(load_backbone(backbone)(PIXELS), expected) > 0.99999


def test_a_model_larger_than_memory_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(network(), tmp_path / "a.onnx")
    monkeypatch.setattr(header, "WEIGHT_COPIES", 10**9)
    with pytest.raises(UsageError, match="times that while it is built; this machine has"):
        own_backbone(str(path), **TF)
