"""Lost images: `Failure`, its reasons, and how a stage makes one.

A stage raises `ImageError` for an image that it cannot use; `failures_of` turns that into a `Failure`, which leaves the
stage through the output tagged `FAILURES`. Nothing else is caught: any other exception fails the run.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from apache_beam.pvalue import TaggedOutput

from transforms.core.counters import count, timed
from transforms.core.elements import ImageUri
from transforms.core.errors import ImageError, one_line
from transforms.core.stage import check_element

FAILURES = "failures"
"""Tag of the output for failures."""

REASONS = {
    "bad_row": "the row of the uri list cannot be read",
    "no_uri": "the row of the uri list has no uri",
    "other_file": "a file of a folder whose suffix, such as .mov or .json, is of no image; it is not fetched",
    "not_found": "there is nothing at the uri",
    "bucket_not_found": "the bucket of the uri does not exist",
    "permission_denied": "the account of the run may not read the uri",
    "not_a_file": "the uri is a folder, a device, a pipe, or a file that the system makes up, as below /proc",
    "unsupported_scheme": "no installed filesystem reads the scheme of the uri",
    "too_many_bytes": "more bytes than --max_image_bytes",
    "forbidden_address": "the host has an address that is not public; see --allow_private_hosts",
    "forbidden_prefix": "the uri, or where it redirects to, is below no --allowed_prefix",
    "too_many_redirects": "the server redirected more than 5 times",
    "timeout": "no complete answer within --fetch_timeout",
    "connection": "the connection could not be made, or broke",
    "bad_certificate": "the certificate of the server is not valid for it",
    "corrupted_download": "the download is shorter than the object, or its crc32c differs",
    "bad_uri": "the uri is not well-formed",
    "http_NNN": "the final answer of the server, e.g. http_404",
    "io_error": "the filesystem failed while reading",
    "empty": "the file has no bytes",
    "not_an_image": "the bytes are in none of the accepted formats",
    "truncated": "the image ends early",
    "corrupt": "the decoder found the image broken",
    "too_many_pixels": "more pixels than --max_image_pixels",
    "too_many_scans": "a progressive JPEG with more scans than any encoder writes",
    "too_many_parts": "more segments, blocks, chunks or strips than any encoder writes",
    "too_slow": "not decoded within 60 s of computing",
    "unsupported_color": "the samples cannot be converted to RGB, or not rightly",
    "unsupported_compression": "the compression of the TIFF is not known",
    "unsupported_heif": "HEIF, such as .heic, for which pillow-heif is not installed",
    "unsupported_raw": "a camera's raw photo, of which only a thumbnail can be read",
    "out_of_memory": "the machine or the device had no memory left for this one image",
    "inference": "the backbone raised an error on this image",
}
"""Each `Failure.reason` with its meaning."""


def meaning_of(reason: str) -> str:
    """Return what a reason means; '' for one that is not known."""
    return REASONS.get("http_NNN" if reason.startswith("http_") else reason, "")


@dataclasses.dataclass(frozen=True)
class Failure:
    """An input that has no embedding.

    Attributes:
      source: the input.
      stage: the stage that lost the input: 'read', 'fetch', 'decode' or 'embed'.
      reason: a key of `REASONS`.
      kind: 'transient' if another attempt may succeed, else 'permanent'.
      error: name of the exception's class.
      message: what happened, in one line.
      attempts: number of attempts made.
    """

    source: ImageUri
    stage: str
    reason: str
    kind: str
    error: str
    message: str
    attempts: int = 1

    @classmethod
    def of(cls, source: ImageUri, stage: str, error: ImageError) -> "Failure":
        """Return the failure for an ImageError that a stage raised."""
        cause = error.error or type(error.__cause__ or error).__name__
        kind = "transient" if error.transient else "permanent"
        return cls(source, stage, error.reason, kind, cause, one_line(error), error.attempts)


def failed(source: ImageUri, stage: str, error: ImageError) -> TaggedOutput:
    """Count a failure and tag it: ImageUri, ImageError -> TaggedOutput(FAILURES, Failure)."""
    return counted(Failure.of(source, stage, error))


def counted(failure: Failure) -> TaggedOutput:
    """Count a failure and tag it: Failure -> TaggedOutput(FAILURES, Failure)."""
    count("images-failed")
    return TaggedOutput(FAILURES, failure)


@dataclasses.dataclass(frozen=True)
class failures_of:  # noqa: N801 (called like a function)
    """Wrap a stage's function to return failures, not raise ImageErrors: element -> output | TaggedOutput(Failure).

    Args:
      stage: name of the stage, also part of its busy-time counter.
      function: element -> output; raises ImageError.
      takes: type of the elements; another one fails the run.
    """

    stage: str
    function: Callable[[Any], Any]
    takes: type = object

    def __call__(self, element: Any) -> Any:
        check_element(element, self.takes, self.stage)
        try:
            with timed(f"{self.stage}-busy-us"):
                return self.function(element)
        except ImageError as e:
            source = element if isinstance(element, ImageUri) else element.source
            return failed(source, self.stage, e)
