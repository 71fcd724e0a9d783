"""Weights as files: Keras' downloads, the user's own, and downloads from Cloud Storage."""
