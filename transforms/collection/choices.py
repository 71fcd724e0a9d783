"""What may be done about a collection that stands: the choices, each spelled once; importing this imports nothing."""

EXISTING = ("refuse", "replace", "update")
"""What to do about a collection that stands in the output folder."""
RETRIES = ("transient", "all", "none")
"""Which earlier failures are tried again."""
