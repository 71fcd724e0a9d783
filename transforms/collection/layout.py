"""Every name on disk in an output folder, made and parsed only here.

    manifest.json                                             the commit: if it exists, the run is complete
    parquet/embeddings-RUN-SSSSS-of-NNNNN.parquet
    tfrecord/embeddings-RUN-SSSSS-of-NNNNN.tfrecord.gz
    tfrecord/features.json                                    how to parse the examples
    failures/failures-RUN-SSSSS-of-NNNNN.jsonl
    .run-RUN/                                                 a run's scratch folder, while it runs
    .commit.lock                                              empty; held while a manifest is compared and written

Each folder holds one kind of file, so that other tools can read it directly. Importing this imports no library, so that
the command's flags can take their choices from here.
"""

import dataclasses
import datetime
import os
import re
import uuid

MANIFEST = "manifest.json"
FEATURES = "tfrecord/features.json"
SCRATCH = ".run-"
OWNER = "owner.json"
"""Name of the file in a run's scratch folder that says who runs."""
LOCK = ".commit.lock"
PARTIAL = ".partial"
"""End of the name of a part that is being written."""


@dataclasses.dataclass(frozen=True)
class FileKind:
    """A kind of file: its folder below the output, how its names begin and end."""

    folder: str
    prefix: str
    extension: str

    def shard_name(self, run_id: str, index: int, count: int) -> str:
        """Return a shard's path below the output folder."""
        return f"{self.folder}/{self.prefix}-{run_id}-{index:05d}-of-{count:05d}{self.extension}"

    def part_name(self) -> str:
        """Return a name in the scratch folder that no other part has."""
        return f"{uuid.uuid4().hex}{self.extension}"

    def names(self, name: str) -> bool:
        """Whether a path below the output folder is one of this kind."""
        return name.startswith(f"{self.folder}/{self.prefix}-") and name.endswith(self.extension)


EMBEDDINGS = {
    "parquet": FileKind("parquet", "embeddings", ".parquet"),
    "tfrecord": FileKind("tfrecord", "embeddings", ".tfrecord.gz"),
}
"""Kinds of files of embeddings, by output format."""

FAILURES = FileKind("failures", "failures", ".jsonl")

_SHARD = re.compile(
    "|".join(
        rf"{kind.folder}/{kind.prefix}-(?P<{folder}>[^/]+)-\d{{5,}}-of-\d{{5,}}{re.escape(kind.extension)}"
        for folder, kind in {**EMBEDDINGS, FAILURES.folder: FAILURES}.items()
    )
)


def new_run_id() -> str:
    """Return an id for a run: its time, so that ids sort, and a random part, so that no two runs share one."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.urandom(3).hex()}"


def date_of(run_id: str) -> str:
    """Return the day on which a run began, UTC, as 2026-11-23."""
    return f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}"


def path_of(output: str, name: str) -> str:
    """Return a file's whole path from its path below the output folder."""
    return f"{output.rstrip('/')}/{name}"


def name_of(path: str, output: str) -> str:
    """Return a file's path below the output folder from its whole path."""
    return path[len(output.rstrip("/")) + 1 :].replace(os.sep, "/")


def scratch_folder(output: str, run_id: str) -> str:
    """Return the folder to which only this run writes its parts."""
    return path_of(output, f"{SCRATCH}{run_id}")


def owner_path(output: str, run_id: str) -> str:
    """Return the path of the file that says who runs."""
    return path_of(output, f"{SCRATCH}{run_id}/{OWNER}")


def plan_path(output: str, run_id: str, kind: FileKind) -> str:
    """Return the path of the file that says how a run divides its rows of a kind into shards."""
    return path_of(output, f"{SCRATCH}{run_id}/plan-{kind.folder}.json")


def is_made_by_runs(folder: str) -> bool:
    """Whether a folder of this name in the output is one that runs make, and may remove when it is empty."""
    return is_scratch(folder) or folder in {FAILURES.folder, *(kind.folder for kind in EMBEDDINGS.values())}


def is_scratch(name: str) -> bool:
    """Whether a path below the output folder lies in a scratch folder."""
    return name.startswith(SCRATCH)


def is_part(name: str) -> bool:
    """Whether a path below the output folder is a finished part of a run."""
    extensions = tuple(kind.extension for kind in (*EMBEDDINGS.values(), FAILURES))
    return is_scratch(name) and name.endswith(extensions)


def run_of(name: str) -> str:
    """Return the id of the run that wrote a file, from its path below the output folder; '' for files of no run."""
    if is_scratch(name):
        return name[len(SCRATCH) :].partition("/")[0]
    match = _SHARD.fullmatch(name)
    return next((run for run in match.groups() if run), "") if match else ""


def format_of(name: str) -> str:
    """Return the output format of a file of embeddings, from its path below the output folder; '' for other files."""
    return next((name_ for name_, kind in EMBEDDINGS.items() if kind.names(name)), "")
