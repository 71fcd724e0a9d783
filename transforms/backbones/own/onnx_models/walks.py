"""All that is in an ONNX model, wherever it is: its graphs, nodes and tensors."""

from collections.abc import Iterable, Iterator
from typing import Any


def graphs_of(model: Any) -> Iterator[Any]:
    """Yield all graphs of a model: its own, and those in nodes."""
    yield model.graph
    for node in nodes_of(model):
        yield from graphs_in(node)


def graphs_in(node: Any) -> list[Any]:
    """Return the graphs in a node, which are those of its branches."""
    return [graph for one in node.attribute for graph in (*([one.g] if one.HasField("g") else []), *one.graphs)]


def constants_of(graph: Any) -> set[str]:
    """Return the names of a graph's initializers, and of inputs that are left out."""
    return {"", *(one.name for one in graph.initializer), *(one.values.name for one in graph.sparse_initializer)}


def nodes_of(model: Any) -> Iterator[Any]:
    """Yield all nodes of a model, also those of graphs in nodes and of its functions."""
    yield from nodes_below([*model.graph.node, *(node for function in model.functions for node in function.node)])


def nodes_below(nodes: Iterable[Any]) -> Iterator[Any]:
    """Yield nodes, and those of the graphs in them."""
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        yield node
        for graph in graphs_in(node):
            waiting += graph.node


def attributes_of(model: Any) -> Iterator[Any]:
    """Yield the attributes of all nodes of a model."""
    for node in nodes_of(model):
        yield from node.attribute


def tensors_of(model: Any) -> Iterator[Any]:
    """Yield all tensors of a model, wherever they are."""
    for graph in graphs_of(model):
        yield from graph.initializer
    for attribute in attributes_of(model):
        yield from (attribute.t, *attribute.tensors)
    for sparse in sparse_tensors_of(model):
        yield from (sparse.values, sparse.indices)


def sparse_tensors_of(model: Any) -> Iterator[Any]:
    """Yield all sparse tensors of a model."""
    for graph in graphs_of(model):
        yield from graph.sparse_initializer
    for attribute in attributes_of(model):
        yield from (attribute.sparse_tensor, *attribute.sparse_tensors)
