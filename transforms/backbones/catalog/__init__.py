"""The table of backbones, readable without TensorFlow."""
