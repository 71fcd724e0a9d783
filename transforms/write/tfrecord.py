"""Write embeddings to TFRecord: gzipped `tf.train.Example`; the manifest, and `features.json`, say how to parse them.

    manifest = json.load(open("manifest.json"))
    features = {
        name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
        for name, f in manifest["features"].items()
    }
    files = [f["name"] for f in manifest["files"] if f["name"].startswith("tfrecord/")]
    dataset = tf.data.TFRecordDataset(files, "GZIP").map(lambda x: tf.io.parse_single_example(x, features))

A carried column is a sequence: empty for null, of one value, or of a list's values without its nulls. Values for which
an Example has no type become text: times in ISO 8601, structs and inner lists as JSON.
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from transforms.collection.columns import OWN_NAMES, example_features, value_of
from transforms.collection.layout import EMBEDDINGS, FileKind
from transforms.core.elements import Embedding, ImageFacts, ImageUri
from transforms.core.errors import one_line
from transforms.storage.files import read_locally
from transforms.write.embeddings import WriteEmbeddings
from transforms.write.shard_format import EmbeddingsFormat, RowKeys, rows_per_part

_KINDS = {"int64": "int64_list", "float32": "float_list", "string": "bytes_list"}


def to_example(embedding: Embedding, features: dict[str, Any]) -> bytes:
    """Serialize an embedding as a `tf.train.Example` of the columns of `features`."""
    from transforms.core.tensorflow_setup import tf

    example = tf.train.Example()
    for name, feature in features.items():
        kind = _KINDS[feature["dtype"]]
        getattr(example.features.feature[name], kind).value.extend(_values(value_of(embedding, name), kind))
    serialized: bytes = example.SerializeToString()
    return serialized


def _values(value: Any, kind: str) -> Any:
    """Return a column's value as the values of a feature."""
    if isinstance(value, np.ndarray):
        return value
    values = [v for v in (value if isinstance(value, list | tuple) else [value]) if v is not None]
    return [_text(v) for v in values] if kind == "bytes_list" else values


def _refitted(record: bytes, features: dict[str, Any]) -> bytes:
    """Give an example the kinds of features that a collection has now; what was of another kind becomes text."""
    example = next(_parsed([record]))
    for name, feature in features.items():
        kind, found = _KINDS[feature["dtype"]], example.features.feature[name]
        old = found.WhichOneof("kind")
        if old != kind:
            values = list(getattr(found, old).value) if old else []
            example.features.feature[name].Clear()
            getattr(example.features.feature[name], kind).value.extend(_values(values, kind))
    serialized: bytes = example.SerializeToString()
    return serialized


def _text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).encode()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False).encode()
    return str(value).encode()


@dataclasses.dataclass(frozen=True)
class TFRecordFormat(EmbeddingsFormat):
    """Gzipped records; a chunk is a list of serialized examples.

    Attributes:
      refits: whether files may hold columns of other kinds, from a time when the collection carried others.
    """

    features: dict[str, Any]
    rows_per_part: int
    refits: bool = False
    kind: FileKind = EMBEDDINGS["tfrecord"]

    def encode(self, elements: list[Embedding]) -> list[bytes]:
        return [to_example(element, self.features) for element in elements]

    def uris(self, chunk: list[bytes]) -> list[str]:
        return [_one(example, "uri").decode() for example in _parsed(chunk)]

    def keys(self, path: str) -> Iterator[RowKeys]:
        with read_locally(path) as local:
            for chunk in self.read(local):
                found = list(_parsed(chunk))
                uris, versions, sha256 = (
                    [_one(e, name).decode() for e in found] for name in ("uri", "version", "sha256")
                )
                yield RowKeys(uris, versions, sha256, [self._carried(e) for e in found])

    def facts(self, path: str) -> Iterator[list[ImageFacts]]:
        with read_locally(path) as local:
            for chunk in self.read(local):
                yield list(map(_facts, _parsed(chunk)))

    def comparable(self, columns: Mapping[str, Any]) -> Any:
        from transforms.core.tensorflow_setup import tf

        example = tf.train.Example()
        for name in self._carried_names():
            kind = _KINDS[self.features[name]["dtype"]]
            getattr(example.features.feature[name], kind).value.extend(_values(columns.get(name), kind))
        return self._carried(example)

    def _carried_names(self) -> list[str]:
        return [name for name in self.features if name not in OWN_NAMES]

    def _carried(self, example: Any) -> tuple[Any, ...]:
        kinds = {name: _KINDS[self.features[name]["dtype"]] for name in self._carried_names()}
        return tuple(tuple(getattr(example.features.feature[name], kind).value) for name, kind in kinds.items())

    def embeddings(self, path: str, wanted: Mapping[str, ImageUri]) -> Iterator[Embedding]:
        with read_locally(path) as local:
            for example in _parsed(itertools.chain.from_iterable(self.read(local))):
                if source := wanted.get(_one(example, "uri").decode()):
                    vector = np.array(example.features.feature["embedding"].float_list.value, np.float32)
                    yield Embedding(source, _facts(example), vector, _top(example))

    def vectors(self, path: str, start: int = 0, stop: int | None = None) -> Iterator[tuple[list[str], np.ndarray]]:
        from transforms.core.tensorflow_setup import tf

        wanted = {
            name: getattr(tf.io, f["kind"])(f["shape"], f["dtype"], **f["arguments"])
            for name, f in self.features.items()
            if name in ("uri", "embedding")
        }
        with read_locally(path) as local:
            records = itertools.islice(itertools.chain.from_iterable(self.read(local)), start, stop)
            while some := list(itertools.islice(records, self.rows_per_part)):
                try:
                    found = tf.io.parse_example(some, wanted)
                except tf.errors.OpError as e:
                    raise OSError(f"{path} cannot be read: {one_line(e)}") from e
                yield [uri.decode() for uri in found["uri"].numpy()], found["embedding"].numpy()

    def write(self, path: str, chunks: Iterable[list[bytes]]) -> None:
        from transforms.core.tensorflow_setup import tf

        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for chunk in chunks:
                for record in chunk:
                    writer.write(record)

    def read(self, path: str) -> Iterator[list[bytes]]:
        from transforms.core.tensorflow_setup import tf

        try:
            for record in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator():
                yield [_refitted(record, self.features) if self.refits else record]
        except tf.errors.OpError as e:
            # TensorFlow's errors are of no type that others catch.
            raise OSError(f"{path} cannot be read: {one_line(e)}") from e


def _parsed(chunk: Iterable[bytes]) -> Iterator[Any]:
    from transforms.core.tensorflow_setup import tf

    return map(tf.train.Example.FromString, chunk)


def _one(example: Any, name: str) -> Any:
    feature = example.features.feature[name]
    return getattr(feature, feature.WhichOneof("kind")).value[0]


def _facts(example: Any) -> ImageFacts:
    width, height, format_, sha256 = (_one(example, field.name) for field in dataclasses.fields(ImageFacts))
    return ImageFacts(width, height, format_.decode(), sha256.decode())


def _top(example: Any) -> tuple[tuple[str, str, float], ...]:
    values = example.features.feature
    ids, names = ([v.decode() for v in values[f"top_class_{one}"].bytes_list.value] for one in ("ids", "names"))
    return tuple(zip(ids, names, values["top_scores"].float_list.value, strict=True))


@dataclasses.dataclass
class WriteEmbeddingsToTFRecord(WriteEmbeddings):
    """Write embeddings to `tfrecord/embeddings-RUN-SSSSS-of-NNNNN.tfrecord.gz`: Embedding -> WrittenFile.

    Args: as for `WriteEmbeddings`.
    """

    def format(self) -> TFRecordFormat:
        features = example_features(self.spec, self.columns, self.top_k)
        return TFRecordFormat(features, rows_per_part(self.spec.dim), refits=self.rewrites)
