"""Files come and go whole, between the local disk and a filesystem."""

import pathlib

from transforms.storage.files import delete, download, upload


def test_what_is_uploaded_is_downloaded_as_it_was(tmp_path: pathlib.Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "local.gz").write_bytes(content)
    assert upload(str(tmp_path / "local.gz"), str(tmp_path / "there.gz")) == len(content)
    download(str(tmp_path / "there.gz"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_deleting_what_is_gone_is_no_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "here").write_text("")
    delete([str(tmp_path / "gone"), str(tmp_path / "here")])
    assert list(tmp_path.iterdir()) == []
