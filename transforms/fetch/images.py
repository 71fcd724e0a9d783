"""Fetch the bytes of images from wherever a uri points: local disk, Cloud Storage, any Beam filesystem, http(s)."""

import dataclasses
import os
import stat
import urllib.parse
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.core.counters import count
from transforms.core.elements import Image, ImageUri
from transforms.core.errors import one_line
from transforms.core.failures import FAILURES, ImageError, capture
from transforms.core.thread_map import ThreadMap
from transforms.fetch.http import HttpFetch
from transforms.storage.gcs import INSTALL, INSTALLED
from transforms.storage.gcs_download import GcsFetch


class Fetched(NamedTuple):
    """What `FetchImages` gives: Image, Failure."""

    images: Any
    unfetched: Any


def fetch_local(path: str, max_bytes: int) -> bytes:
    """Read a regular file of the local disk: path -> bytes, or raise ImageError."""
    try:
        # Opening a pipe would wait for a writer; a device may never end.
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
            raise ImageError("not_a_file", f"{path} is {kind}")
        with open(path, "rb") as f:
            data = f.read(max_bytes + 1) if facts.st_size <= max_bytes else b""
    except (FileNotFoundError, NotADirectoryError) as e:
        raise ImageError("not_found", f"no such file: {path}") from e
    except PermissionError as e:
        raise ImageError("permission_denied", f"may not be read: {path}") from e
    except ValueError as e:
        raise ImageError("bad_uri", one_line(e)) from e
    except OSError as e:
        raise ImageError("io_error", one_line(e), transient=True) from e
    if facts.st_size > max_bytes or len(data) > max_bytes:
        raise ImageError("too_many_bytes", f"more than {max_bytes} bytes")
    return data


def fetch_from_filesystem(uri: str, max_bytes: int) -> bytes:
    """Read an object of a Beam filesystem: uri -> bytes, or raise ImageError."""
    try:
        filesystem = FileSystems.get_filesystem(uri)
    except (ValueError, ImportError) as e:
        raise ImageError("unsupported_scheme", f"nothing here reads {uri.partition('://')[0]}:// uris") from e
    try:
        # By its name the file may look compressed, but an image is wanted as it is.
        with filesystem.open(uri, compression_type=CompressionTypes.UNCOMPRESSED) as f:
            data: bytes = f.read(max_bytes + 1)
    except Exception as e:
        # Filesystems raise what their clients do; a look tells a missing object from a failing service.
        if isinstance(e, PermissionError) or "403" in str(e):
            raise ImageError("permission_denied", f"may not be read: {uri}") from e
        if isinstance(e, FileNotFoundError) or not _exists(uri):
            raise ImageError("not_found", f"no such object: {uri}") from e
        raise ImageError("io_error", one_line(e), transient=True) from e
    if len(data) > max_bytes:
        raise ImageError("too_many_bytes", f"more than {max_bytes} bytes")
    return data


def _exists(uri: str) -> bool:
    try:
        return bool(FileSystems.exists(uri))
    except Exception:
        return True


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Fetch an image by its uri's scheme: ImageUri -> Image, or raise ImageError."""

    max_image_bytes: int
    http: HttpFetch
    gcs: GcsFetch

    def __call__(self, source: ImageUri) -> Image:
        image = self._image(source)
        count("images-fetched")
        count("bytes-fetched", len(image.data))
        return image

    def _image(self, source: ImageUri) -> Image:
        scheme = source.uri.partition("://")[0].lower() if "://" in source.uri else ""
        if scheme == "gs":
            if not INSTALLED:
                raise ImageError("unsupported_scheme", f"nothing here reads gs:// uris; run: {INSTALL}")
            return Image(source, *self.gcs(source.uri))
        if scheme in ("http", "https"):
            data = self.http(source.uri)
        elif scheme == "file":
            path = os.fsdecode(urllib.parse.unquote_to_bytes(source.uri[len("file://") :]))
            data = fetch_local(path, self.max_image_bytes)
        elif not scheme or source.uri.startswith("/"):
            data = fetch_local(source.uri, self.max_image_bytes)
        else:
            data = fetch_from_filesystem(source.uri, self.max_image_bytes)
        return Image(source, data)


@dataclasses.dataclass
class FetchImages(beam.PTransform):
    """Fetch images: ImageUri -> Fetched(Image, Failure).

    Args:
      max_image_bytes: size of an encoded image at most, in bytes; bounded while it streams.
      num_threads: fetches at a time in each worker process; None is one a core, 0 switches threads off.
      timeout: seconds for one fetch over a network, with its retries and redirects.
      attempts: at most, for answers that may be better next time.
      allow_private_hosts: also fetch from http hosts whose address is not public.
    """

    max_image_bytes: int = 64 << 20
    num_threads: int | None = 16
    timeout: float = 60.0
    attempts: int = 4
    allow_private_hosts: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        if self.max_image_bytes < 1:
            raise ValueError(f"max_image_bytes must be at least 1, is {self.max_image_bytes}")

    def expand(self, uris: Any) -> Any:
        http = HttpFetch(self.max_image_bytes, self.timeout, self.attempts, self.allow_private_hosts)
        gcs = GcsFetch(self.max_image_bytes, self.timeout, self.attempts)
        fetch = capture("fetch", Fetch(self.max_image_bytes, http, gcs))
        fetched = uris | beam.ParDo(ThreadMap(fetch, self.num_threads)).with_outputs(FAILURES, main="images")
        return Fetched(fetched.images, fetched[FAILURES])
