"""Rows of a collection and the files that hold them, written without a run."""

import hashlib
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa

from tests.fake_backbone import spec
from transforms.collection.columns import embeddings_schema, example_features, schema_text
from transforms.collection.manifest import Manifest
from transforms.commit.commit import Commit
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.failures import Failure
from transforms.core.uri_sum import UriSum
from transforms.write.failures import FailuresFormat
from transforms.write.parquet import ParquetFormat
from transforms.write.shard_format import EmbeddingsFormat, ShardFormat
from transforms.write.shard_plan import StandingFile, WrittenFile
from transforms.write.tfrecord import TFRecordFormat

SPEC = spec(dim=4)
LABEL = pa.schema([("label", pa.int64())])


def parquet(carried: pa.Schema = LABEL, top_k: int = 0, rows_per_part: int = 3) -> ParquetFormat:
    return ParquetFormat(embeddings_schema(SPEC, carried, top_k), rows_per_part)


def tfrecord(carried: pa.Schema = LABEL, top_k: int = 0, refits: bool = False) -> TFRecordFormat:
    return TFRecordFormat(example_features(SPEC, carried, top_k), 3, refits)


FORMATS = {"parquet": parquet, "tfrecord": tfrecord}


def sha256_of(data: str) -> str:
    return hashlib.sha256(data.encode()).hexdigest()


def embedding(uri: str, version: str = "", data: str = "", top: Any = (), **columns: Any) -> Embedding:
    """Return a row of an image, the vector of which follows from its bytes."""
    sha256 = sha256_of(data or uri)
    vector = np.frombuffer(bytes.fromhex(sha256)[:4], np.uint8).astype(np.float32)
    return Embedding(ImageUri(uri, columns, version), ImageFacts(4, 3, "PNG", sha256), vector, top)


def failure(
    uri: str, version: str = "", kind: str = "permanent", stage: str = "fetch", reason: str = "io_error", **columns: Any
) -> Failure:
    return Failure(ImageUri(uri, columns, version), stage, reason, kind, "OSError", f"no {uri}", 3)


def write(format_: ShardFormat, path: pathlib.Path, rows: list[Any]) -> str:
    """Write a file of some rows; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    format_.write(str(path), [format_.encode(rows)] if rows else [])
    return str(path)


def write_failures(path: pathlib.Path, rows: list[Failure]) -> str:
    return write(FailuresFormat(), path, rows)


def standing(folder: pathlib.Path, format_: ShardFormat, run_id: str, rows: list[Any]) -> StandingFile:
    """Write a file of the collection in a folder, as a run names it."""
    name = format_.kind.shard_name(run_id, 0, 1)
    path = pathlib.Path(write(format_, folder / name, rows))
    return StandingFile(name, UriSum.of(row.source.uri for row in rows), path.stat().st_size)


def rows_in(format_: EmbeddingsFormat, path: str, uris: list[str]) -> list[Embedding]:
    """Read rows back, each with a source of nothing but its uri."""
    return list(format_.embeddings(path, {uri: ImageUri(uri) for uri in uris}))


def collection(
    folder: pathlib.Path,
    rows: list[Embedding],
    failures: list[Failure] | None = None,
    formats: dict[str, EmbeddingsFormat] | None = None,
    **arguments: Any,
) -> Manifest:
    """Commit a collection of some rows and failures to a folder, as run OLD; return its manifest."""
    lost, columns = failures or [], schema_text(LABEL)
    found: list[tuple[str, Any]] = [("inputs", UriSum.of(row.source.uri for row in (*rows, *lost)))]
    for kind, elements, format_ in (
        *(("embeddings", rows, format_) for format_ in (formats or {"parquet": parquet()}).values()),
        ("failures", lost, FailuresFormat()),
    ):
        if elements:
            file = standing(folder, format_, "OLD", elements)
            found.append((kind, WrittenFile(file.name, file.uris, file.num_bytes)))
    return Commit(str(folder), "OLD", SPEC, "", **{"columns": columns, **arguments})(found)
