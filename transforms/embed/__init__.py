"""Pixels to vectors, in batches, whatever happens to a batch: Pixels -> Embedding."""
