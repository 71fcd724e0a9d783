"""Cloud Storage itself: names, credentials, what is there, conditional puts."""

import os
import pathlib
import subprocess
import sys
import threading

import pytest
from apache_beam.options.value_provider import RuntimeValueProvider

from tests.conftest import exhaustive
from tests.servers.gcs import GcsServer
from transforms.core.errors import UsageError
from transforms.storage.gcs import (
    PAYS,
    LostRaceError,
    Stat,
    bucket_exists,
    check_access,
    client,
    generation_of,
    generations_of,
    install_hint,
    is_gcs,
    listed,
    opened_object,
    put_if_unchanged,
    split,
    stat,
)

ROOT = pathlib.Path(__file__).parents[3]


def test_a_uri_is_a_bucket_and_a_name_and_nothing_else() -> None:
    assert split("gs://bucket/a/b #1%20?x=y.jpg") == ("bucket", "a/b #1%20?x=y.jpg")
    assert split("GS://b.c-d_1//a") == ("b.c-d_1", "/a")
    assert [is_gcs(path) for path in ("gs://b/a", "GS://b/a", "/gs://b/a", "s3://b/a", "gs:/b/a")] == [True, True] + [
        False
    ] * 3


def test_what_the_service_says_of_an_object(gcs: GcsServer) -> None:
    uri = gcs.put("a b.txt", b"123456789")
    found = stat(uri)
    assert found == Stat(generation_of(uri), 9, "4waSgw==")
    assert stat(f"gs://{gcs.bucket}/none") is None
    assert generation_of(f"gs://{gcs.bucket}/none") == 0


def test_a_service_that_cannot_be_asked_is_an_os_error(gcs: GcsServer) -> None:
    gcs.fail(403, matching="/o/a")
    with pytest.raises(OSError, match="cannot look at gs://"):
        stat(f"gs://{gcs.bucket}/a")
    gcs.fail(403, matching="POST")
    with pytest.raises(OSError, match="cannot write gs://"):
        put_if_unchanged(f"gs://{gcs.bucket}/a", b"x", 0)


def test_the_generations_of_a_folder_are_by_path_and_that_of_an_object_by_nothing(gcs: GcsServer) -> None:
    uris = {name: gcs.put(f"model/{name}", b"x") for name in ("saved_model.pb", "variables/a b.index")}
    gcs.put("model2/other", b"x")
    expected = {name: generation_of(uri) for name, uri in uris.items()}
    for end in ("", "/"):
        assert generations_of(f"gs://{gcs.bucket}/model{end}") == expected
    assert generations_of(uris["saved_model.pb"]) == {"": expected["saved_model.pb"]}
    assert generations_of(f"gs://{gcs.bucket}/none") == {}


def test_the_mark_of_a_folder_is_none_of_its_objects(strict_gcs: GcsServer) -> None:
    uri = strict_gcs.put("model/saved_model.pb", b"x")
    for name in ("model/", "model/empty/"):
        strict_gcs.put(name, b"")
    assert generations_of(f"gs://{strict_gcs.bucket}/model") == {"saved_model.pb": generation_of(uri)}


def test_objects_are_listed_with_their_generations_in_the_order_of_their_names(gcs: GcsServer) -> None:
    names = ["p/a.jpg", "p/b c/ä#1.jpg", "p/b/c.jpg"]
    uris = [gcs.put(name, b"x") for name in reversed(names)][::-1]
    for name in ("p/.a.jpg", "p/.git/a.jpg", "pp/a.jpg", "q.jpg"):
        gcs.put(name, b"x")
    found = list(listed(f"gs://{gcs.bucket}/p/**"))
    assert [file.path for file in found] == uris
    assert [file.version for file in found] == [f"generation:{generation_of(uri)}" for uri in uris]
    assert [file.path for file in listed(f"gs://{gcs.bucket}/p/*.jpg")] == uris[:1]
    assert [file.path for file in listed(f"gs://{gcs.bucket}/*/b*/[a-c].jpg")] == uris[2:]
    assert [file.path for file in listed(f"gs://{gcs.bucket}/**")][-1] == f"gs://{gcs.bucket}/q.jpg"
    assert list(listed(f"gs://{gcs.bucket}/none/**")) == []


def test_a_name_of_wildcards_is_listed_by_its_escapes(strict_gcs: GcsServer) -> None:
    uri = strict_gcs.put("out [1]*/.x/a.jpg", b"x")
    strict_gcs.put("out 1x/.x/b.jpg", b"x")
    assert [file.path for file in listed(f"gs://{strict_gcs.bucket}/out [[]1][*]/.x/**")] == [uri]


def test_a_bucket_whose_requester_pays_is_read_for_the_project_that_is_named(
    gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, gcs.requester_pays = gcs.put("p/a.jpg", b"x"), True
    monkeypatch.delenv(PAYS, raising=False)
    hint = "; its requester pays: name the project with --billing_project"
    with pytest.raises(OSError, match=f"cannot list .*{hint}"):
        next(listed(f"gs://{gcs.bucket}/p/**"))
    with pytest.raises(OSError, match=f"cannot read .*{hint}"):
        opened_object(uri)
    monkeypatch.setenv(PAYS, "mine")
    gcs.log.clear()
    assert [file.path for file in listed(f"gs://{gcs.bucket}/p/**")] == [uri]
    assert opened_object(uri).read() == b"x"
    assert stat(uri)
    # Google's client asks for a bucket's own metadata by itself, and does without.
    asked = [line for line in gcs.log if f"/b/{gcs.bucket}?" not in line]
    assert len(asked) >= 3
    assert all("userProject=mine" in line for line in asked)


def test_a_worker_elsewhere_learns_from_the_options_of_the_job_who_pays(
    gcs: GcsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, gcs.requester_pays = gcs.put("a.jpg", b"x"), True
    monkeypatch.delenv(PAYS, raising=False)
    monkeypatch.setattr(RuntimeValueProvider, "runtime_options", {"billing_project": "mine"})
    assert stat(uri)


def test_no_page_is_asked_for_before_it_is_needed(strict_gcs: GcsServer) -> None:
    uris = [strict_gcs.put(f"p/{i:02}.jpg", b"x") for i in range(25)]
    strict_gcs.page = 10
    strict_gcs.log.clear()
    found = listed(f"gs://{strict_gcs.bucket}/p/**")
    assert [next(found).path for _ in range(10)] == uris[:10]
    assert strict_gcs.asked("/o?") == 1
    assert [file.path for file in found] == uris[10:]
    assert strict_gcs.asked("/o?") == 3


def test_no_more_of_an_object_comes_than_is_read(strict_gcs: GcsServer) -> None:
    content = bytes(range(256)) * (3 << 12)
    f = opened_object(strict_gcs.put("a.parquet", content))
    strict_gcs.log.clear()
    f.seek(-8, os.SEEK_END)
    assert f.read() == content[-8:]
    f.seek(1000)
    assert f.read(100) == content[1000:1100]
    assert f.read(100) == content[1100:1200]
    assert strict_gcs.asked() == 2
    f.seek(0)
    assert f.read() == content


def test_what_was_opened_is_read_in_its_generation_or_not_at_all(strict_gcs: GcsServer) -> None:
    uri = strict_gcs.put("a.parquet", b"x" * 100)
    f = opened_object(uri)
    strict_gcs.log.clear()
    f.read(1)
    assert strict_gcs.asked(f"ifGenerationMatch={generation_of(uri)}") == 1
    f = opened_object(uri)
    strict_gcs.fail(404)
    with pytest.raises(OSError, match="cannot read gs://"):
        f.read(1)
    with pytest.raises(FileNotFoundError, match="no such object"):
        opened_object(f"gs://{strict_gcs.bucket}/none")


def test_a_bucket_that_cannot_be_listed_is_an_os_error(gcs: GcsServer) -> None:
    gcs.fail(403, matching="/o?")
    with pytest.raises(OSError, match=r"cannot list gs://.*\*\*"):
        next(listed(f"gs://{gcs.bucket}/p/**"))


@pytest.mark.parametrize("name", ["../a", "a/../b", "a//b", "./a"])
def test_an_object_whose_name_leads_out_of_its_folder_is_an_os_error(strict_gcs: GcsServer, name: str) -> None:
    strict_gcs.put(f"model/{name}", b"x")
    with pytest.raises(OSError, match=r"holds an object of the name .*, which no local file can have"):
        generations_of(f"gs://{strict_gcs.bucket}/model")


def test_a_bucket_exists_unless_the_service_says_that_it_does_not(gcs: GcsServer) -> None:
    assert bucket_exists(gcs.bucket)
    assert not bucket_exists(f"no-{gcs.bucket}")
    gcs.fail(403, times=9, matching=f"/b/in-doubt-{gcs.bucket}/o?")
    assert bucket_exists(f"in-doubt-{gcs.bucket}")


def test_a_path_in_no_bucket_is_refused_by_its_bucket(gcs: GcsServer) -> None:
    check_access(["photos", f"gs://{gcs.bucket}/a"])
    with pytest.raises(UsageError) as error:
        check_access([f"gs://{gcs.bucket}/a", f"gs://no-{gcs.bucket}/b c.jpg"])
    bucket = f"gs://no-{gcs.bucket}"
    assert str(error.value) == f"there is no bucket {bucket}, which {bucket}/b c.jpg is in"


def test_what_is_installed_needs_no_hint() -> None:
    assert install_hint("gs://b/a") == install_hint("/a") == ""


def test_a_put_is_tried_again(gcs: GcsServer) -> None:
    gcs.fail(503, matching="POST")
    put_if_unchanged(f"gs://{gcs.bucket}/a", b"x", 0)
    assert gcs.get("a") == b"x"
    assert gcs.asked("POST") == 2


def test_a_put_over_what_was_not_seen_is_refused(strict_gcs: GcsServer) -> None:
    uri = f"gs://{strict_gcs.bucket}/a"
    put_if_unchanged(uri, b"first", 0)
    seen = generation_of(uri)
    with pytest.raises(LostRaceError, match=f"{uri} was written by another run meanwhile, and is left as it is"):
        put_if_unchanged(uri, b"second", 0)
    assert strict_gcs.get("a") == b"first"
    put_if_unchanged(uri, b"third", seen)
    with pytest.raises(LostRaceError):
        put_if_unchanged(uri, b"fourth", seen)
    assert strict_gcs.get("a") == b"third"


def test_threads_and_calls_share_one_client(gcs: GcsServer) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(client())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*map(id, found), id(client())}) == 1


def without_credentials(folder: pathlib.Path) -> dict[str, str]:
    """The environment of a machine that is not Google's, and on which nobody has logged in."""
    google = ("GOOGLE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(google)}
    return {**environment, "HOME": str(folder), "NO_GCE_CHECK": "true"}


@pytest.mark.parametrize("flag", ["--input", *exhaustive("--output", "--weights")])
def test_absent_credentials_are_told_in_one_line_before_anything_is_tried(
    flag: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = {"--input": str(photos), "--output": str(tmp_path / "out"), "--weights": "random"}
    flags[flag] = "gs://bucket/a.weights.h5"
    command = [sys.executable, "-m", "pipelines.command", *(word for pair in flags.items() for word in pair)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=without_credentials(tmp_path))
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "embed-images: there are no Google credentials for gs://bucket/a.weights.h5; "
        "run: gcloud auth application-default login, or let GOOGLE_APPLICATION_CREDENTIALS name a service account's key"
    ]


def test_credentials_that_are_none_are_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key.json").write_text("{half")
    for name, value in without_credentials(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    with pytest.raises(UsageError, match="Google credentials"):
        check_access(["photos", "gs://bucket/a"])


def test_credentials_are_asked_for_only_where_there_is_something_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    check_access(["photos", "s3://bucket/a", "http://h/gs://b/a", "imagenet"])


def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = """
import sys
sys.modules["google.cloud.storage"] = sys.modules["google_crc32c"] = None
from transforms import FetchImages, ImageUri
from transforms.storage.gcs import check_access, install_hint
for attempt in (lambda: check_access(["gs://b/a"]), lambda: FetchImages().function(ImageUri("gs://b/a"))):
    try:
        attempt()
    except Exception as e:
        print(type(e).__name__, getattr(e, "reason", ""), e)
print(install_hint("GS://b/a"), install_hint("s3://b/a"))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.splitlines() == [
        "UsageError  nothing here reads gs://b/a; for gs:// run: pip install 'apache-beam[gcp]'",
        "ImageError unsupported_scheme nothing here reads gs:// uris; run: pip install 'apache-beam[gcp]'",
        "; for gs:// run: pip install 'apache-beam[gcp]' ",
    ], result.stderr
