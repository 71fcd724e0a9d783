"""What an update would do is foreseen, and nothing is fetched or written."""

import os
import pathlib

import pytest

from pipelines.launch.foreseen import foreseen
from pipelines.plan.plan import Plan, Target
from pipelines.plan.runner import Where
from pipelines.plan.standing import standing_in
from tests import collection_files as files
from tests.pipelines.conftest import files_in, settings_of
from transforms import Backbone, ReadImageUris
from transforms.collection.manifest import read_manifest
from transforms.update.compare import version_here


def planned(folder: pathlib.Path, uris: list[str], *flags: str) -> Plan:
    """Plan an update of a collection in a folder by a list of uris, each with the label 1."""
    (folder / "list.csv").write_text("uri,label\n" + "".join(f"{uri},1\n" for uri in uris))
    out = folder / "out"
    settings = settings_of(folder / "list.csv", out, "--existing=update", *flags)
    standing = standing_in(str(out), read_manifest(str(out)), files.SPEC, settings)
    target = Target(Backbone("MobileNet", weights="random"), files.SPEC, str(out), standing=standing)
    return Plan("NEW", "", settings, Where(), ReadImageUris([str(folder / "list.csv")]), (target,))


def image(folder: pathlib.Path, name: str) -> tuple[str, str]:
    """Write something that is never decoded; return its path and its version."""
    path = str(folder / name)
    (folder / name).write_bytes(name.encode())
    return path, version_here(path)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "3 new, 2 changed or to be asked about, 2 the same, 1 taken over, 1 failed before and not tried, 2 gone"),
        (
            ["--retry=none"],
            "2 new, 2 changed or to be asked about, 2 the same, 1 taken over, 2 failed before and not tried, 2 gone",
        ),
        (
            ["--retry=all"],
            "4 new, 2 changed or to be asked about, 2 the same, 1 taken over, 0 failed before and not tried, 2 gone",
        ),
        (
            ["--recheck_http=false"],
            "3 new, 1 changed or to be asked about, 3 the same, 1 taken over, 1 failed before and not tried, 2 gone",
        ),
    ],
    ids=lambda value: "".join(value)[:20],
)
def test_what_is_new_changed_the_same_and_gone_is_counted(flags: list[str], said: str, tmp_path: pathlib.Path) -> None:
    names = ("same", "relabelled", "changed", "taken", "failed", "lately", "new", "newer")
    uri, version = {}, {}
    for name in names:
        uri[name], version[name] = image(tmp_path, name)
    rows = [
        files.embedding(uri["same"], version["same"], label=1),
        files.embedding(uri["relabelled"], version["relabelled"], label=2),
        files.embedding(uri["changed"], version["changed"], label=1),
        files.embedding("https://h/asked", "etag:x", label=1),
        files.embedding(str(tmp_path / "gone"), label=1),
        files.embedding("gs://b/gone", label=1),
    ]
    lost = [
        files.failure(uri["failed"], version["failed"]),
        files.failure(uri["lately"], version["lately"], "transient"),
    ]
    files.collection(tmp_path / "out", rows, lost)
    scratch = tmp_path / "out" / ".run-DEAD"
    files.write(files.parquet(), scratch / "0.parquet", [files.embedding(uri["taken"], version["taken"])])
    (scratch / "owner.json").write_text(f'{{"fingerprint": "{files.SPEC.fingerprint}", "ended": true}}')
    os.utime(uri["changed"], ns=(0, 17))
    before = files_in(tmp_path)

    plan = planned(tmp_path, [*uri.values(), "https://h/asked"], *flags)
    assert list(foreseen(plan)) == [f"  MobileNet: {said}"]
    assert files_in(tmp_path) == sorted([*before, "list.csv"])


def test_nothing_is_foreseen_where_nothing_stands(tmp_path: pathlib.Path) -> None:
    assert list(foreseen(planned(tmp_path, ["/a"]))) == []


def test_all_is_gone_of_which_a_list_names_nothing(tmp_path: pathlib.Path) -> None:
    files.collection(tmp_path / "out", [files.embedding("/a", label=1)])
    (line,) = foreseen(planned(tmp_path, ["gs://b/new"]))
    assert line.startswith("  MobileNet: 1 new, 0 changed")
    assert line.endswith(" 1 gone")
