"""Uris to encoded bytes, from wherever they point: ImageUri -> Image."""
