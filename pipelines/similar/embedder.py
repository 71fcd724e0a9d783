"""What embeds a photo as the rows of a collection were, and proves that it does."""

import functools

from pipelines.plan.backbone_of import has_rewrites
from pipelines.similar.collection import Collection
from transforms import Backbone, EmbeddingSpec, EmbedImages, embedding_spec
from transforms.backbones import backbone_from_spec
from transforms.core.errors import UsageError
from transforms.decode.canary import decoding_hash
from transforms.decode.images import decode_from_spec
from transforms.embed.canary import Canary
from transforms.embed.images import EmbedBatch
from transforms.storage.paths import canonical_uri


def collection_backbone(spec: EmbeddingSpec, weights: str, engine: str, trust_model: bool) -> Backbone:
    """Return the backbone of a collection, by its spec and by what is not in it.

    Args:
      spec: the collection's spec.
      weights: path of its weights or its whole model, '' if they are built in.
      engine: library that computes.
      trust_model: accept a whole model that is a program.

    Raises:
      UsageError: a path of weights is missing, or not needed.
    """
    path = canonical_uri(weights) if weights else ""
    return backbone_from_spec(spec, path, engine=engine, trust_model=trust_model, rewrites=has_rewrites())


def embedder_of(collection: Collection, backbone: Backbone, max_image_pixels: int) -> EmbedBatch:
    """Return what embeds with the backbone of a collection; once loaded, it has proven to compute the same.

    Raises:
      UsageError: the weights cannot be read, or the embeddings could not be compared.
    """
    _check_spec(backbone, collection)
    canary = collection.manifest.get("canary")
    decode = decode_from_spec(collection.spec, max_image_pixels)
    return EmbedBatch(
        EmbedImages(
            backbone,
            embedding_dtype=collection.spec.embedding_dtype,
            canary=Canary.of(canary) if canary else None,
            decoding=functools.partial(decoding_hash, decode.decoded, backbone.size),
        )
    )


def _check_spec(backbone: Backbone, collection: Collection) -> None:
    """Refuse a backbone whose embeddings may not be mixed with those of a collection; raise UsageError."""
    wanted = collection.spec
    found = embedding_spec(
        backbone,
        resize=wanted.resize,
        resize_filter=wanted.resize_filter,
        color_profile=wanted.color_profile,
        central_fraction=wanted.central_fraction,
        decoded_for=wanted.decoded_for,
        embedding_dtype=wanted.embedding_dtype,
    )
    if found.fingerprint == collection.manifest["embedding_spec_fingerprint"]:
        return
    if found.weights_sha256 != wanted.weights_sha256:
        which = f"{backbone.given_as} is" if wanted.weights == "file" else f"the {wanted.weights} weights are"
        raise UsageError(
            f"{which} not what the collection was made with: the weights_sha256 is {found.weights_sha256}, not "
            f"{wanted.weights_sha256}"
        )
    raise UsageError(
        f"a photo would be embedded by the spec {found.fingerprint} here, and the collection's is "
        f"{collection.manifest['embedding_spec_fingerprint']}: use the version of this project that made it"
    )
