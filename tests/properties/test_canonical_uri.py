"""An image is known by one uri: made canonical again, it stays as it is."""

import os

from hypothesis import example, given
from hypothesis import strategies as st

from transforms.storage.paths import canonical_uri, local_path, scheme_of

# What the filesystem and a uri list may hold: bytes that are not UTF-8 come as surrogates.
TEXT = st.text(max_size=20) | st.binary(max_size=20).map(os.fsdecode) | st.text("./%:# äx\\*?[&\udcff", max_size=12)
PATHS = st.builds(
    str.__add__, st.sampled_from(["", "", "/", "//", "./", "../", "file://", "FILE:///", "gs://b/", "http://h/"]), TEXT
).filter(lambda path: not any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in path))
FOLDERS = st.sampled_from(["", "/photos", "/of ä/%20", "photos", ".", "gs://b", "gs://b/of ä/%20"])


@given(PATHS, FOLDERS)
@example("50%25.jpg", "/photos")
@example("\udcff%.jpg", "/photos")
@example("gs://b/%FF\udcff", "")
@example("file:///\udcff.jpg", "/photos")
@example("/a.jpg", "gs://b/out/failures")
def test_a_canonical_uri_is_its_own_with_any_folder(path: str, folder: str) -> None:
    uri = canonical_uri(path, folder)
    assert canonical_uri(uri, folder) == uri
    assert canonical_uri(uri) == uri
    assert canonical_uri(uri, "/elsewhere") == uri


@given(PATHS, FOLDERS)
def test_a_canonical_uri_is_absolute_text_that_a_file_can_hold(path: str, folder: str) -> None:
    uri = canonical_uri(path, folder)
    uri.encode()
    assert scheme_of(uri) or os.path.isabs(uri)


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_a_file_of_any_name_is_found_by_its_canonical_uri(name: bytes) -> None:
    path = os.path.join("/photos", os.fsdecode(name))
    uri = canonical_uri(path)
    found = local_path(uri) if uri.startswith("file://") else uri
    assert os.fsencode(found) == os.path.abspath(os.path.join(b"/photos", name))
