"""What the operator's commands share: Google's clients, messages as JSON, and errors in one line."""

import json
import sys
from collections.abc import Callable
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.protobuf.json_format import MessageToDict

from pipelines.options.arguments import Parser
from transforms.core.errors import RunError, UsageError, one_line


def connect(client: Any, endpoint: str) -> Any:
    """Return a client that speaks REST to Google, or to `endpoint`; without credentials if that is plain http."""
    if not endpoint:
        return client(transport="rest")
    credentials = AnonymousCredentials() if endpoint.startswith("http://") else None  # type: ignore[no-untyped-call]
    return client(credentials=credentials, transport="rest", client_options={"api_endpoint": endpoint})


def as_json(message: Any) -> dict[str, Any]:
    """Return one of Google's messages as REST's JSON."""
    found: dict[str, Any] = MessageToDict(type(message).pb(message))
    return found


def show(what: dict[str, Any]) -> None:
    """Print for a person what would be sent."""
    print(json.dumps(what, indent=2))


def add_project(parser: Parser) -> None:
    """Declare the flags that every command has."""
    parser.add_argument("--project", required=True, help="id of the Google Cloud project")
    parser.add_argument("--region", required=True, help="region of the jobs and all their parts, e.g. europe-west4")
    parser.add_argument("--dry_run", action="store_true", help="print what would be sent, and send nothing")


def run_command(command: Callable[[list[str]], None], argv: list[str]) -> int:
    """Run a command; return its exit code, as that of `embed-images`: 0, or 1 or 2 after one line on stderr."""
    try:
        command(argv)
    except (UsageError, RunError, GoogleAPIError, GoogleAuthError, OSError) as e:
        # Started by `python -m`, a module calls itself __main__; its spec has its name.
        spec = sys.modules[command.__module__].__spec__
        print(f"{spec.name if spec else command.__module__}: {one_line(e)}", file=sys.stderr)
        return 2 if isinstance(e, UsageError) else 1
    return 0
