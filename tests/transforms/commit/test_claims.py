"""Claims on an output folder, and the sweeping of what dead runs left."""

import json
import os
import pathlib
import time

import pytest

from tests.servers.gcs import GcsServer
from transforms.collection.layout import OWNER, SCRATCH
from transforms.commit import liveness
from transforms.commit.claims import claim, is_held, mark_ended, owner_of, renewed
from transforms.commit.leftovers import sweep
from transforms.storage.files import delete
from transforms.storage.gcs import generation_of


def age(files: list[pathlib.Path], seconds: float) -> None:
    for file in files:
        os.utime(file, (time.time() - seconds,) * 2)


def test_a_claim_says_who_runs(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path / "new" / "out"), "RUN", local=True)
    owner = json.loads((tmp_path / "new" / "out" / f"{SCRATCH}RUN" / OWNER).read_text())
    assert owner == liveness.owner(local=True)
    assert owner["pid"] == os.getpid()


def test_a_claim_on_a_folder_that_cannot_be_made_fails(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        claim(str(tmp_path / "file" / "out"), "RUN", local=True)


def test_the_claim_of_a_run_is_renewed_and_one_that_is_gone_stays_gone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run on a shared folder is known to be alive, however long its images take. (1f)"""
    monkeypatch.setattr(liveness, "RENEWED_EVERY", 0.01)
    outputs = [tmp_path / "a", tmp_path / "b"]
    claims = [output / f"{SCRATCH}RUN" / OWNER for output in outputs]
    for output in outputs:
        claim(str(output), "RUN", local=True)
    claims[0].unlink()
    age(claims[1:], 5000)
    with renewed([str(output) for output in outputs], "RUN"):
        until = time.monotonic() + 30
        while claims[1].stat().st_mtime < time.time() - 1000:
            assert time.monotonic() < until, "the claim was not renewed"
            time.sleep(0.01)
    assert not claims[0].exists()
    time.sleep(0.1)
    age(claims[1:], 5000)
    time.sleep(0.1)
    assert claims[1].stat().st_mtime < time.time() - 1000


def test_the_claim_on_a_bucket_is_renewed_and_one_that_is_gone_stays_gone(
    strict_gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(1f)"""
    monkeypatch.setattr(liveness, "RENEWED_EVERY", 0.01)
    outputs = [f"gs://{strict_gcs.bucket}/{name}" for name in ("a", "b")]
    for output in outputs:
        claim(output, "RUN", local=True)
    owner = f"{SCRATCH}RUN/{OWNER}"
    delete([f"{outputs[0]}/{owner}"])
    before = generation_of(f"{outputs[1]}/{owner}")
    content = strict_gcs.get(f"b/{owner}")
    with renewed(outputs, "RUN"):
        until = time.monotonic() + 30
        while generation_of(f"{outputs[1]}/{owner}") == before:
            assert time.monotonic() < until, "the claim was not renewed"
            time.sleep(0.01)
    assert strict_gcs.names() == [f"b/{owner}"]
    assert strict_gcs.get(f"b/{owner}") == content


def test_a_claim_of_a_run_elsewhere_names_no_process(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", local=False)
    assert "pid" not in json.loads((tmp_path / f"{SCRATCH}RUN" / OWNER).read_text())
    sweep(str(tmp_path), "OTHER")
    assert (tmp_path / f"{SCRATCH}RUN" / OWNER).exists()


def test_a_claim_names_the_spec_so_that_another_run_knows_what_the_parts_are(tmp_path: pathlib.Path) -> None:
    for local in (True, False):
        claim(str(tmp_path), f"RUN{local}", local, "abc")
        assert owner_of(str(tmp_path), f"RUN{local}") == liveness.owner(local, "abc")
        assert is_held(str(tmp_path), f"RUN{local}")


@pytest.mark.parametrize("content", [None, "", "{half", "[]", "7"])
def test_what_is_no_claim_holds_nothing(tmp_path: pathlib.Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / f"{SCRATCH}RUN").mkdir()
        (tmp_path / f"{SCRATCH}RUN" / OWNER).write_text(content)
    assert not is_held(str(tmp_path), "RUN")


def test_a_run_that_is_marked_as_ended_holds_nothing_and_stays_known(tmp_path: pathlib.Path) -> None:
    claim(str(tmp_path), "RUN", True, "abc")
    mark_ended(str(tmp_path), "RUN")
    assert not is_held(str(tmp_path), "RUN")
    assert owner_of(str(tmp_path), "RUN") == {"fingerprint": "abc", "ended": True}
    assert [path.name for path in (tmp_path / f"{SCRATCH}RUN").iterdir()] == [OWNER]


def test_a_run_in_a_bucket_is_marked_as_ended_too(gcs: GcsServer) -> None:
    output = f"gs://{gcs.bucket}/out"
    claim(output, "RUN", True, "abc")
    mark_ended(output, "RUN")
    assert not is_held(output, "RUN")
    assert json.loads(gcs.get(f"out/{SCRATCH}RUN/{OWNER}")) == {"fingerprint": "abc", "ended": True}
    assert gcs.names() == [f"out/{SCRATCH}RUN/{OWNER}"]
