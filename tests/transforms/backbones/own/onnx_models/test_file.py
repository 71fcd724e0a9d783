"""What an ONNX file says, and what is refused of it before an engine sees it."""

import os
import pathlib

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.transforms.backbones.own.conftest import SIDE, network, refused, saved
from transforms.backbones import own_backbone
from transforms.core.errors import UsageError

TAKEN = {"preprocess": "torch", "engine": "openvino"}


def test_a_file_says_its_size_and_how_many_weights_it_has(tmp_path: pathlib.Path) -> None:
    backbone = own_backbone(str(saved(network(end="vector"), tmp_path / "a.onnx")), **TAKEN)
    assert (backbone.name, backbone.size, backbone.architecture) == ("a.onnx", (SIDE, SIDE), "onnx")
    # The kernel, the classes and the three numbers of a shape.
    assert backbone.num_weights == 8 * 3 * 3 * 3 + 8 * 5 + 3


def test_it_has_to_be_told_what_it_takes(tmp_path: pathlib.Path) -> None:
    path = saved(network(side="side"), tmp_path / "a.onnx")
    assert "does not say what it takes; add --preprocess" in refused(path, engine="openvino")
    assert "takes images of any size; say which with --image_size" in refused(path, **TAKEN)


def test_data_beside_the_file_is_read_from_its_folder(tmp_path: pathlib.Path) -> None:
    path = saved(network(), tmp_path / "a.onnx", beside="a.data")
    assert "keeps its data beside it, in 'a.data'; give a folder that holds both and no other" in refused(path, **TAKEN)
    assert own_backbone(str(tmp_path), **TAKEN).size == (SIDE, SIDE)
    (tmp_path / "a.data").unlink()
    assert "has data in 'a.data', which is not in its folder" in refused(tmp_path, **TAKEN)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "sub/../../secret", "link", "pipe"])
def test_data_outside_the_folder_is_never_read(place: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"x" * 10_000)
    (folder / "sub").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    model = onnx.load(str(saved(network(), folder / "a.onnx", beside="a.data")), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = place if entry.key == "location" else entry.value
    (folder / "a.onnx").write_bytes(model.SerializeToString())
    (folder / "a.data").unlink()
    said = refused(folder, **TAKEN)
    assert "which is outside its folder" in said or "no regular file" in said


def test_data_of_a_graph_in_a_node_is_looked_at_too(tmp_path: pathlib.Path) -> None:
    model = network()
    hidden = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    hidden.external_data.add(key="location", value="../secret")
    body = helper.make_graph(
        [], "body", [], [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [1])], [hidden]
    )
    condition = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
    model.graph.node.extend([condition, helper.make_node("If", ["yes"], ["x"], then_branch=body, else_branch=body)])
    assert "'../secret'" in refused(saved(model, tmp_path / "a.onnx"), **TAKEN)


def test_data_of_sparse_tensors_is_looked_at_too(tmp_path: pathlib.Path) -> None:
    model = network()
    values = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    values.external_data.add(key="location", value="a/../../secret")
    indices = helper.make_tensor("places", TensorProto.INT64, [1], [0])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    model.graph.node.append(helper.make_node("Constant", [], ["x"], sparse_value=sparse))
    assert "'a/../../secret'" in refused(saved(model, tmp_path / "a.onnx"), **TAKEN)


def test_operators_that_are_not_onnx_s_are_refused_by_name(tmp_path: pathlib.Path) -> None:
    model = network()
    model.graph.node.append(helper.make_node("FusedConv", ["maps"], ["more"], domain="com.microsoft"))
    said = refused(saved(model, tmp_path / "a.onnx"), **TAKEN)
    assert "has the operator com.microsoft.FusedConv, which is not one of ONNX's own" in said


def test_operators_that_are_not_invented_yet_or_too_old_are_refused(tmp_path: pathlib.Path) -> None:
    said = refused(saved(network(opset=500), tmp_path / "newer.onnx"), **TAKEN)
    assert f"is of opset 500; onnx {onnx.__version__}, installed here, ends at " in said
    model = network()
    (relu,) = [node for node in model.graph.node if node.op_type == "Relu"]
    relu.op_type = "NotYetInvented"
    said = refused(saved(model, tmp_path / "new.onnx"), **TAKEN)
    assert f"has the operator NotYetInvented, which is not one of ONNX's own, as of onnx {onnx.__version__}" in said
    said = refused(saved(network(opset=7), tmp_path / "old.onnx"), **TAKEN)
    assert said.endswith("is of opset 7; export it again, with opset 8 or later")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("two inputs", "takes 2 inputs; a backbone takes one, an image"),
        ("bytes", "takes UINT8 numbers, not floats"),
        ("nothing known", "takes no kind of numbers, not floats"),
        ("grey", "takes (?, 1, 32, 32), not RGB images"),
        ("a vector", "takes (?, 3), not RGB images"),
    ],
)
def test_what_takes_no_images_is_refused(change: str, said: str, tmp_path: pathlib.Path) -> None:
    model = network()
    (image,) = model.graph.input
    if change == "two inputs":
        model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    elif change == "bytes":
        image.type.tensor_type.elem_type = TensorProto.UINT8
    elif change == "nothing known":
        image.type.tensor_type.elem_type = 67
    elif change == "grey":
        image.type.tensor_type.shape.dim[1].dim_value = 1
    else:
        del image.type.tensor_type.shape.dim[2:]
    assert said in refused(saved(model, tmp_path / "a.onnx"), **TAKEN)


def test_what_is_no_onnx_is_told(tmp_path: pathlib.Path) -> None:
    for content in (b"", b"junk", bytes(np.random.default_rng(0).integers(0, 256, 1000, np.uint8))):
        (tmp_path / "a.onnx").write_bytes(content)
        assert "is not an ONNX file" in refused(tmp_path / "a.onnx", **TAKEN)


WHOLE = network().SerializeToString()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_no_file_ends_in_a_traceback(place: int, value: int, cut: bool, tmp_path: pathlib.Path) -> None:
    changed = bytearray(WHOLE[:place] if cut else WHOLE)
    if not cut:
        changed[place] = value
    (tmp_path / "a.onnx").write_bytes(changed)
    try:
        own_backbone(str(tmp_path / "a.onnx"), **TAKEN)
    except UsageError as e:
        lines = str(e).splitlines()
    else:
        lines = [""]
    assert len(lines) == 1
