"""The source that the image is built from, as one archive: the same source gives the same bytes."""

import gzip
import io
import pathlib
import tarfile

ROOT = pathlib.Path(__file__).parent.parent
PACKED = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "pipelines", "transforms", "templates/embed_images")
"""Files and folders that the Dockerfile copies, and its own folder."""


def source_files() -> list[pathlib.Path]:
    """List the files that are packed, in order."""
    found = [path for name in PACKED for path in (ROOT / name, *(ROOT / name).rglob("*"))]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def pack_source() -> bytes:
    """Return the archive, a .tar.gz without times and owners."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in source_files():
            content = path.read_bytes()
            member = tarfile.TarInfo(path.relative_to(ROOT).as_posix())
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)
