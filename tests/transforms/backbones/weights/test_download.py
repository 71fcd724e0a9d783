"""Weights in Cloud Storage come to a machine once, whole, or not at all."""

import concurrent.futures
import pathlib
import threading

import pytest

from tests.servers.gcs import GcsServer
from transforms.backbones.weights.download import PREFIX, downloaded_once


def entries(cache: pathlib.Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.is_dir()]


def accept(local: str) -> None:
    pass


def test_an_object_is_downloaded_once(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    uri = gcs.put("models/a.weights.h5", b"weights")
    paths = []
    for _ in range(3):
        with downloaded_once(uri, accept) as local:
            assert pathlib.Path(local).read_bytes() == b"weights"
            paths.append(local)
    assert len(set(paths)) == 1
    assert pathlib.Path(paths[0]).name == "a.weights.h5"
    (entry,) = entries(own_cache)
    assert entry.startswith(PREFIX)
    assert gcs.asked() == 1


def test_of_those_who_ask_at_once_one_downloads(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    uri = gcs.put("a.h5", b"weights")
    gcs.fail("slow")
    together = threading.Barrier(8)

    def ask(_: int) -> bytes:
        together.wait()
        with downloaded_once(uri, accept) as local:
            return pathlib.Path(local).read_bytes()

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {b"weights"}
    assert gcs.asked() == 1


def test_an_object_that_was_written_again_is_downloaded_again(strict_gcs: GcsServer, own_cache: pathlib.Path) -> None:
    for content in (b"one", b"two"):
        uri = strict_gcs.put("a.h5", content)
        with downloaded_once(uri, accept) as local:
            assert pathlib.Path(local).read_bytes() == content
    assert len(entries(own_cache)) == 2


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_comes_with_all_that_is_below_it(slash: str, gcs: GcsServer, own_cache: pathlib.Path) -> None:
    files = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/of/mine.txt": b"kept"}
    for name, content in files.items():
        gcs.put(f"models/mine/{name}", content)
    gcs.put("models/mine-not/other.pb", b"another one's")
    with downloaded_once(f"gs://{gcs.bucket}/models/mine{slash}", accept) as local:
        folder = pathlib.Path(local)
        found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert folder.name == "mine"
    assert found == files


@pytest.mark.parametrize("cache", ["cache", ""])
def test_a_copy_that_is_not_what_it_should_be_is_not_kept(
    cache: str, gcs: GcsServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / cache) if cache else "")
    uri = gcs.put("a.h5", b"weights")
    seen: list[pathlib.Path] = []

    def refuse(local: str) -> None:
        seen.append(pathlib.Path(local))
        raise ValueError("not what was promised")

    with pytest.raises(ValueError, match="not what was promised"), downloaded_once(uri, refuse):
        pytest.fail("it was accepted")
    assert not seen[0].exists()
    assert not cache or entries(tmp_path / cache) == []


def test_a_copy_that_is_kept_is_checked_at_every_use(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    uri = gcs.put("a.h5", b"weights")
    checked: list[bytes] = []
    for _ in range(3):
        with downloaded_once(uri, lambda local: checked.append(pathlib.Path(local).read_bytes())):
            pass
    assert checked == [b"weights"] * 3
    assert gcs.asked() == 1


def test_a_copy_that_is_damaged_is_downloaded_again(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    """(3g) Weights of which bytes have changed give other vectors."""
    uri = gcs.put("a.h5", b"weights")
    with downloaded_once(uri, accept) as kept:
        pass
    pathlib.Path(kept).write_bytes(b"Weights")
    for _ in range(2):
        with downloaded_once(uri, accept) as local:
            assert pathlib.Path(local).read_bytes() == b"weights"
    assert gcs.asked() == 2


@pytest.mark.parametrize("cache", ["", "file/cache"], ids=["off", "not to be written to"])
def test_without_a_cache_a_copy_ends_with_its_use(
    cache: str, gcs: GcsServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path / cache) if cache else "")
    uri = gcs.put("a.h5", b"weights")
    with downloaded_once(uri, accept) as local:
        assert pathlib.Path(local).read_bytes() == b"weights"
    assert not pathlib.Path(local).exists()
    assert gcs.asked() == 1


def test_what_is_not_there_is_an_oserror_that_names_it(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    uri = f"gs://{gcs.bucket}/none.h5"
    with pytest.raises(FileNotFoundError, match=f"no such object: {uri}"), downloaded_once(uri, accept):
        pytest.fail("it was there")


def test_a_download_that_fails_leaves_nothing(gcs: GcsServer, own_cache: pathlib.Path) -> None:
    uri = gcs.put("a.h5", b"weights" * 1000)
    gcs.fail(403)
    with pytest.raises(OSError, match=r"a\.h5"), downloaded_once(uri, accept):
        pytest.fail("it was downloaded")
    assert entries(own_cache) == []
    with downloaded_once(uri, accept) as local:
        assert pathlib.Path(local).read_bytes() == b"weights" * 1000
