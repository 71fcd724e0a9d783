"""The command `projector-files`: a collection as TensorBoard's embedding projector shows it."""
