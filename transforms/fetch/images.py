"""Fetch the bytes of images from wherever a uri points: local disk, Cloud Storage, any Beam filesystem, http(s)."""

import dataclasses
import os
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from transforms.core import retries
from transforms.core.counters import count
from transforms.core.elements import Image, ImageUri
from transforms.core.errors import ImageError, UsageError, one_line
from transforms.core.failures import FAILURES, Failure, failures_of
from transforms.core.image_versions import Content, UnchangedError, check_changed, file_version, is_listed
from transforms.core.stage import Stage, typed
from transforms.core.thread_map import ThreadMap
from transforms.fetch.http import HttpFetch
from transforms.fetch.prefixes import EVERYWHERE, AllowedPrefixes, place_of_prefix
from transforms.storage.gcs import INSTALL, INSTALLED
from transforms.storage.gcs_download import DownloadError, GcsDownload
from transforms.storage.hashing import NotAFileError, opened_regular
from transforms.storage.paths import canonical_uri, local_path, scheme_of
from transforms.storage.schemes import WEB, how_to_install

UNCHANGED = "unchanged"
"""Tag of the output for images of the version that is known."""


class Fetched(NamedTuple):
    """Outputs of `FetchImages`."""

    images: beam.PCollection[Image]
    unchanged: beam.PCollection[ImageUri]
    unfetched: beam.PCollection[Failure]


def fetch_local(path: str, max_bytes: int, known: str = "") -> Content:
    """Read a regular file of the local disk: path -> Content; raise ImageError or UnchangedError."""
    try:
        with opened_regular(path) as f:
            found = os.fstat(f.fileno())
            # Looked at before it is read: what changes meanwhile has another version later.
            check_changed(version := file_version(found.st_mtime_ns, found.st_size), known)
            data = f.read(max_bytes + 1) if found.st_size <= max_bytes else b""
    except NotAFileError as e:
        raise ImageError("not_a_file", str(e)) from e
    except (FileNotFoundError, NotADirectoryError) as e:
        raise ImageError("not_found", f"no such file: {path}") from e
    except PermissionError as e:
        raise ImageError("permission_denied", f"may not be read: {path}") from e
    except ValueError as e:
        raise ImageError("bad_uri", one_line(e)) from e
    except OSError as e:
        raise ImageError("io_error", one_line(e), transient=True) from e
    if found.st_size > max_bytes or len(data) > max_bytes:
        raise ImageError("too_many_bytes", f"more than {max_bytes} bytes")
    return Content(data, version)


def fetch_from_filesystem(uri: str, max_bytes: int) -> bytes:
    """Read an object of any Beam filesystem: uri -> bytes; raise ImageError."""
    scheme = scheme_of(uri)
    if command := how_to_install(uri):
        raise ImageError("unsupported_scheme", f"nothing here reads {scheme}:// uris; run: {command}")
    try:
        filesystem = FileSystems.get_filesystem(uri)
    except (BeamIOError, ValueError, ImportError) as e:
        raise ImageError("unsupported_scheme", f"nothing here reads {scheme}:// uris") from e
    try:
        # Raw bytes, even if the name suggests compression.
        with filesystem.open(uri, compression_type=CompressionTypes.UNCOMPRESSED) as f:
            data: bytes = f.read(max_bytes + 1)
    except Exception as e:
        # Filesystems raise whatever their clients raise; a second look tells a missing object from a failing service.
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


def fetch_object(uri: str, download: GcsDownload, known: str = "") -> Content:
    """Download an object of Cloud Storage: 'gs://bucket/name' -> Content; raise ImageError or UnchangedError."""
    if not INSTALLED:
        raise ImageError("unsupported_scheme", f"nothing here reads gs:// uris; run: {INSTALL}")
    try:
        return download(uri, known)
    except DownloadError as e:
        error = ImageError(e.reason, str(e), transient=e.transient, error=e.error, attempts=e.attempts)
        # A failure shows the class of the cause, not that of the wrapper.
        raise error from e.__cause__


@dataclasses.dataclass(frozen=True)
class Fetch:
    """Fetch one image by its uri's scheme: ImageUri -> Image, of the version that was read.

    Raises ImageError, or UnchangedError for an image that still has its known version.

    Args: as for `FetchImages`.
    """

    max_image_bytes: int
    http: HttpFetch
    gcs: GcsDownload
    allowed: AllowedPrefixes = EVERYWHERE

    def __call__(self, source: ImageUri) -> Image:
        data, version = self._content(source)
        count("images-fetched")
        count("bytes-fetched", len(data))
        return Image(_of_version(source, version), data)

    def _content(self, source: ImageUri) -> Content:
        uri, scheme = source.uri, scheme_of(source.uri)
        self.allowed.check(uri)
        if scheme == "gs":
            return fetch_object(uri, self.gcs, source.known_version)
        if scheme in WEB:
            return self.http(uri, source.known_version)
        if scheme in ("", "file"):
            path = local_path(uri) if scheme else uri
            # What was checked is opened, not what a link leads to by then.
            path = os.path.realpath(path) if self.allowed.prefixes else path
            return fetch_local(path, self.max_image_bytes, source.known_version)
        # Filesystems tell a file's version when they list it, not when they read it.
        return Content(fetch_from_filesystem(uri, self.max_image_bytes), source.version)


@dataclasses.dataclass(frozen=True)
class _UnchangedAside:
    """Tag what is unchanged: ImageUri -> Image | TaggedOutput(ImageUri), with the version that was found."""

    fetch: Fetch

    def __call__(self, source: ImageUri) -> Image | TaggedOutput:
        try:
            return self.fetch(source)
        except UnchangedError as e:
            return TaggedOutput(UNCHANGED, _of_version(source, e.version))


def _of_version(source: ImageUri, version: str) -> ImageUri:
    # A list's own version is the list's to change.
    return source if is_listed(source.version) else dataclasses.replace(source, version=version)


@dataclasses.dataclass
class FetchImages(Stage):
    """Fetch images that are not of the version that is known: ImageUri -> Fetched(Image, ImageUri, Failure).

    Args:
      max_image_bytes: maximum size of an encoded image, in bytes; checked while it streams.
      num_threads: concurrent fetches in each worker process; None is one per core, 0 switches threads off.
      timeout: seconds for one fetch over a network, including retries and redirects.
      attempts: maximum number, for errors that may pass.
      allow_private_hosts: also fetch from http hosts whose address is not public.
      allowed_prefixes: uris and paths below which an image, and each redirect, must be; () allows everything.
    """

    takes = ImageUri

    max_image_bytes: int = 64 << 20
    num_threads: int | None = 16
    timeout: float = retries.TIMEOUT
    attempts: int = retries.ATTEMPTS
    allow_private_hosts: bool = False
    allowed_prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        # A relative path is relative to where the pipeline is built.
        self.allowed_prefixes = tuple(map(canonical_uri, self.allowed_prefixes))
        for prefix in self.allowed_prefixes:
            try:
                place_of_prefix(prefix)
            except ValueError as e:
                raise UsageError(f"no allowed prefix: {one_line(e)}") from e
        if self.max_image_bytes < 1:
            raise ValueError(f"max_image_bytes must be at least 1, is {self.max_image_bytes}")

    @property
    def function(self) -> Fetch:
        """The function that is applied to each image."""
        allowed = AllowedPrefixes(self.allowed_prefixes)
        http = HttpFetch(self.max_image_bytes, self.timeout, self.attempts, self.allow_private_hosts, allowed=allowed)
        gcs = GcsDownload(self.max_image_bytes, self.timeout, self.attempts)
        return Fetch(self.max_image_bytes, http, gcs, allowed)

    def expand(self, uris: beam.PCollection[ImageUri]) -> Fetched:
        fetch = ThreadMap(failures_of("fetch", _UnchangedAside(self.function), ImageUri), self.num_threads)
        fetched = uris | beam.ParDo(fetch).with_outputs(UNCHANGED, FAILURES, main="images")
        images, unchanged, unfetched = fetched.images, fetched[UNCHANGED], fetched[FAILURES]
        return Fetched(typed(images, Image), typed(unchanged, ImageUri), typed(unfetched, Failure))
