"""Inputs to uris: images, folders, globs and uri lists -> ImageUri."""
