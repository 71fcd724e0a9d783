"""Embeddings and failures to files of even size, in any format, with no shuffle of the rows."""
