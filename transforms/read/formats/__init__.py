"""Formats of uri lists: a file -> its columns, and its rows. Each module has the functions `columns` and `rows`."""
