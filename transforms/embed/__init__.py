"""Pixels to vectors, in batches, isolating what fails: Pixels -> Embedding."""
