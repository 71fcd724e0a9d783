"""Whole models of the user's own: what their files say without being run, and how each kind becomes a graph.

- `.keras`: an architecture of Keras' own layers, built here, and its weights (`keras_config`, `keras_model`).
- ONNX: data, which stays ONNX (`onnx_models`).
- SavedModel: a program, run only if the user trusts it (`saved_model`).

`header` asks a file what it takes, before anything is built.
"""
