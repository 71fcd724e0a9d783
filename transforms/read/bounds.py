"""Bounds of what one row may hold, whoever made the list; a row beyond them is a `bad_row`."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CELL_BYTES = 1 << 20
"""Maximum size of a value: hundreds of times a long caption; a thousand of them in flight still fit in memory."""
ROW_BYTES = 16 << 20
"""Maximum size of a row. For text: the number of characters of a line, or of a CSV row of several lines."""
MAX_COLUMNS = 10_000
"""Maximum number of columns of a list: as many as the widest tables in use, and each costs memory in every sink."""
MAX_DEPTH = 32
"""Maximum nesting of a value: an Arrow schema of over 64 levels cannot be read back."""
CHUNK_ROWS = 1024
"""Maximum number of rows that are converted at a time."""
CHUNK_BYTES = 16 << 20
"""Size of rows at which a chunk ends before it has CHUNK_ROWS rows."""


def too_large(num_bytes: int) -> str:
    """Say that a value is too large: '' if it is not."""
    return f"a value of {num_bytes:,} bytes; at most {CELL_BYTES:,} are carried" if num_bytes > CELL_BYTES else ""


def cell_bytes(array: pa.Array) -> np.ndarray:
    """Return how many bytes each value of an array takes: Array [N] -> int64 [N]; dictionaries are not unpacked."""
    type_ = array.type
    if pa.types.is_dictionary(type_):
        sizes = cell_bytes(array.dictionary)
        indices = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
        return sizes[indices] if len(sizes) else np.zeros(len(array), np.int64)
    if pa.types.is_struct(type_):
        return sum((cell_bytes(child) for child in array.flatten()), np.zeros(len(array), np.int64))
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_map(type_):
        inner = [array.keys, array.items] if pa.types.is_map(type_) else [array.flatten()]
        until = np.concatenate([[0], np.cumsum(sum(cell_bytes(values) for values in inner))])
        if pa.types.is_map(type_):
            lengths = pc.list_value_length(array.cast(pa.list_(pa.struct([type_.key_field, type_.item_field]))))
        else:
            lengths = pc.list_value_length(array)
        ends = np.cumsum(lengths.fill_null(0).to_numpy(zero_copy_only=False))
        return np.diff(until[np.concatenate([[0], ends])])
    if _has_length(type_):
        lengths = pc.binary_length(array).fill_null(0)
        return lengths.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(len(array), 8, np.int64)


def _has_length(type_: pa.DataType) -> bool:
    return any(
        test(type_)
        for test in (pa.types.is_binary, pa.types.is_string, pa.types.is_large_binary, pa.types.is_large_string)
    )
