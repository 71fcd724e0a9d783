"""A run as one value, checked before it begins."""
