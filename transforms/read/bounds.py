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
        sizes = np.append(cell_bytes(array.dictionary), 0)
        return np.asarray(sizes[array.indices.cast(pa.int64()).fill_null(-1).to_numpy()])
    if pa.types.is_struct(type_):
        return _sum(len(array), array.flatten())
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_map(type_):
        offsets = array.offsets.to_numpy().astype(np.int64)
        first, num_values = offsets[0], offsets[-1] - offsets[0]
        inner = [array.keys, array.items] if pa.types.is_map(type_) else [array.values]
        until = np.append(0, np.cumsum(_sum(num_values, [values.slice(first, num_values) for values in inner])))
        return np.asarray(np.diff(until[offsets - first]))
    if _has_length(type_):
        lengths = pc.binary_length(array).fill_null(0)
        return np.asarray(lengths.to_numpy(zero_copy_only=False).astype(np.int64))
    return np.full(len(array), 8, np.int64)


def _sum(length: int, arrays: list[pa.Array]) -> np.ndarray:
    total = np.zeros(length, np.int64)
    for array in arrays:
        total += cell_bytes(array)
    return total


def _has_length(type_: pa.DataType) -> bool:
    return any(
        test(type_)
        for test in (pa.types.is_binary, pa.types.is_string, pa.types.is_large_binary, pa.types.is_large_string)
    )
