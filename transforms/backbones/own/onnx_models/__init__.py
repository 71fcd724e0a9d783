"""An ONNX model as one graph from pixels to vectors, made by ONNX alone, which every engine that knows ONNX reads.

- `file` reads and checks what the file says, `values` its data; `walks` goes through all that is in it.
- `output` finds the value that is the embedding, `shapes` the shape that it has.
- `around` puts the preprocessing before it and the pooling after it.
- `graph` composes them.
"""
