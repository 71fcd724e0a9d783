"""A resource of the web that can change while it is served, and answers conditions as RFC 9110 says."""

import dataclasses
import email.utils
import http.server


@dataclasses.dataclass
class Resource:
    """A handler for the fixture `serve`.

    Attributes:
      body: what it is now.
      etag: its header ETag, as it is sent; '' for none.
      last_modified: its header Last-Modified, likewise.
      conditions: the conditions of each request, by the name of the header.
      peers: the connection of each request.
    """

    body: bytes
    etag: str = ""
    last_modified: str = ""
    conditions: list[dict[str, str]] = dataclasses.field(default_factory=list)
    peers: list[tuple[str, int]] = dataclasses.field(default_factory=list)

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = {name: value for name, value in request.headers.items() if name.startswith("If-")}
        self.conditions.append(asked)
        self.peers.append(request.client_address)
        unchanged = self.is_unchanged(asked)
        request.send_response(304 if unchanged else 200)
        if self.etag:
            request.send_header("ETag", self.etag)
        if self.last_modified:
            request.send_header("Last-Modified", self.last_modified)
        if not unchanged:
            request.send_header("Content-Length", str(len(self.body)))
        request.end_headers()
        request.wfile.write(b"" if unchanged else self.body)

    def is_unchanged(self, asked: dict[str, str]) -> bool:
        """Whether the conditions of a GET let it be answered with 304; see RFC 9110, 13.2.2."""
        if none_match := asked.get("If-None-Match"):
            # The weak comparison, of 8.8.3.2.
            tags = {tag.strip().removeprefix("W/") for tag in none_match.split(",")}
            return none_match == "*" or (self.etag.removeprefix("W/") in tags)
        since = email.utils.parsedate_tz(asked.get("If-Modified-Since", ""))
        modified = email.utils.parsedate_tz(self.last_modified)
        if not since or not modified:
            return False
        return email.utils.mktime_tz(modified) <= email.utils.mktime_tz(since)
