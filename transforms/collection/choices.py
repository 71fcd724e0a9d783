"""How a collection is kept, and what is done about one that stands: the choices, each spelled once, without imports."""

EXISTING = ("refuse", "replace", "update")
"""What to do about a collection that stands in the output folder."""
RETRIES = ("transient", "all", "none")
"""Which earlier failures are tried again."""

VECTOR_TYPES = ("list", "fixed_size_list")
"""Arrow's type of the vectors in Parquet, whose width `fixed_size_list` tells; the numbers are the same."""
