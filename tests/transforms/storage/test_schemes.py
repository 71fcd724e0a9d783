"""A scheme whose package is not there says how to get it."""

import importlib.util

import pytest

from transforms.storage.schemes import SCHEMES, how_to_install


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("s3://b/x", "pip install 'apache-beam[aws]'"),
        ("AZFS://b/x", "pip install 'apache-beam[azure]'"),
        ("hdfs://b/x", "pip install 'apache-beam[hadoop]'"),
        *((path, "") for path in ("gs://b/x", "http://h/x", "/x", "file:///x", "xyzzy://x")),
    ],
)
def test_the_command_is_told_only_where_it_helps(path: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert how_to_install(path) == command
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert how_to_install(path) == ""


def test_schemes_are_lower_case() -> None:
    assert [scheme.lower() for scheme in SCHEMES] == list(SCHEMES)
