"""Schemes of uris, and the packages that some need."""

import importlib.util

from transforms.storage.paths import scheme_of

WEB = ("http", "https")
"""Schemes that only images are fetched over: nothing is listed or written there."""
SCHEMES = ("file", "gs", "s3", "hdfs", "azfs", *WEB)

_PACKAGES = {
    "s3": ("boto3", "pip install 'apache-beam[aws]'"),
    "azfs": ("azure", "pip install 'apache-beam[azure]'"),
    "hdfs": ("hdfs", "pip install 'apache-beam[hadoop]'"),
}
"""What Beam imports for a scheme and does not install by itself, and how to get it."""


def how_to_install(path: str) -> str:
    """Return the command that installs what a path's scheme needs, '' if it is there or nothing is known."""
    package, command = _PACKAGES.get(scheme_of(path), ("", ""))
    return command if package and not importlib.util.find_spec(package) else ""
