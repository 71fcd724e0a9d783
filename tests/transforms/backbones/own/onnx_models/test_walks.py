"""Everything in a model is found, in branches, functions and attributes too, and each thing once."""

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

from transforms.backbones.own.onnx_models.walks import (
    constants_of,
    graphs_in,
    graphs_of,
    nodes_below,
    nodes_of,
    sparse_tensors_of,
    tensors_of,
)


def tensor(name: str) -> TensorProto:
    return numpy_helper.from_array(np.ones(2, np.float32), name)


def model() -> ModelProto:
    """Return a model with a choice whose branches hold a constant each, one of which is sparse, and with a function."""
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [2])
    dense = helper.make_node("Constant", [], ["made"], value=tensor("in an attribute"))
    places = numpy_helper.from_array(np.array([0, 1]), "places")
    sparse = helper.make_sparse_tensor(tensor("in a sparse one"), places, [5])
    thin = helper.make_node("Constant", [], ["made"], sparse_value=sparse)
    yes = helper.make_graph([dense], "yes", [], [made], [tensor("in a branch")])
    no = helper.make_graph([thin], "no", [], [made])
    choice = helper.make_node("If", ["asked"], ["made"], then_branch=yes, else_branch=no)
    graph = helper.make_graph([choice], "whole", [], [made], [tensor("outermost")])
    whole = helper.make_model(graph)
    inner = helper.make_node("Relu", ["x"], ["y"])
    whole.functions.append(helper.make_function("mine", "f", ["x"], ["y"], [inner], [helper.make_opsetid("", 17)]))
    return whole


def test_all_is_found_once() -> None:
    whole = model()
    assert sorted(graph.name for graph in graphs_of(whole)) == ["no", "whole", "yes"]
    assert sorted(node.op_type for node in nodes_of(whole)) == ["Constant", "Constant", "If", "Relu"]
    assert sorted(node.op_type for node in nodes_below(whole.graph.node)) == ["Constant", "Constant", "If"]
    assert [list(sparse.dims) for sparse in sparse_tensors_of(whole) if sparse.dims] == [[5]]
    names = sorted(one.name for one in tensors_of(whole) if one.name)
    assert names == ["in a branch", "in a sparse one", "in an attribute", "outermost", "places"]


def test_graphs_are_those_of_the_node_alone() -> None:
    (choice,) = model().graph.node
    branches = graphs_in(choice)
    assert sorted(graph.name for graph in branches) == ["no", "yes"]
    (constant,) = branches[0].node
    assert graphs_in(constant) == []
    constant.attribute.append(AttributeProto(name="several", type=AttributeProto.GRAPHS, graphs=branches))
    assert sorted(graph.name for graph in graphs_in(constant)) == ["no", "yes"]


def test_constants_are_the_initializers_and_what_is_left_out() -> None:
    graph = model().graph
    sparse = helper.make_sparse_tensor(tensor("thin"), numpy_helper.from_array(np.array([0, 1]), "places"), [5])
    graph.sparse_initializer.append(sparse)
    assert constants_of(graph) == {"", "outermost", "thin"}
