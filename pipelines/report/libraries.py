"""The libraries of the extra `report`, which nothing else here needs."""

import importlib.util

from transforms.core.errors import UsageError

LIBRARIES = {"altair": "altair", "jinja2": "jinja2", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
"""The package of each module."""


def check_libraries() -> None:
    """Refuse to begin without the libraries; they are looked up, and not imported.

    Raises:
      UsageError: one is not installed.
    """
    lacking = [package for module, package in LIBRARIES.items() if importlib.util.find_spec(module) is None]
    if lacking:
        raise UsageError(f"the report needs what is not installed; pip install {' '.join(lacking)}")
