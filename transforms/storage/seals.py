"""Seals: a file in a folder, written last, that tells whether the folder's files are still what they were."""

import os

from transforms.storage.hashing import listing_of

SEAL = "SHA256SUMS"
"""Name of the seal, which holds the lines of `hashing.listing_of`."""


def seal(folder: str) -> None:
    """Seal a folder that has no seal; raise OSError if that fails."""
    listing = listing_of(folder)
    with open(os.path.join(folder, SEAL), "wb") as f:
        f.write(listing)


def is_sealed(folder: str) -> bool:
    """Whether a folder has a seal, whatever became of its files since."""
    return os.path.isfile(os.path.join(folder, SEAL))


def is_intact(folder: str) -> bool:
    """Whether a folder holds the files that were sealed, with the same bytes, and no others."""
    try:
        with open(os.path.join(folder, SEAL), "rb") as f:
            return f.read() == listing_of(folder, but=SEAL)
    except OSError:
        return False
