"""How an image would be embedded: as flags say, or as the rows of a collection were."""

import dataclasses

from pipelines.options.commands.explain import Settings
from pipelines.options.given import COMMAND_LINE
from pipelines.plan.backbone_of import backbones_of
from pipelines.plan.checks import check_gpu
from pipelines.plan.plan import spec_of
from pipelines.plan.runner import Where
from pipelines.plan.stages import decode_within
from pipelines.similar.collection import Collection, open_collection
from pipelines.similar.embedder import collection_backbone, embedder_of
from transforms import Backbone, EmbeddingSpec, EmbedImages
from transforms.decode.images import Decode, decode_from_spec
from transforms.embed.images import EmbedBatch


@dataclasses.dataclass(frozen=True)
class How:
    """What a worker would be given.

    Attributes:
      settings: what the person asked for.
      backbone: the backbone, which is not loaded yet.
      decode: the function that a worker applies to images.
      collection: the collection as whose rows an image is embedded; None where flags decide.
    """

    settings: Settings
    backbone: Backbone
    decode: Decode
    collection: Collection | None

    def spec(self) -> EmbeddingSpec:
        """Return how the embedding is made; reads the weights.

        Raises:
          UsageError: they cannot be read or do not fit.
        """
        if self.collection:
            return self.collection.spec
        return spec_of(self.backbone, self.settings, Where(), self.backbone.size)

    def embedder(self) -> EmbedBatch:
        """Return what embeds a batch.

        Raises:
          UsageError: the weights are not those of the collection.
        """
        if self.collection:
            return embedder_of(self.collection, self.backbone, self.settings.max_image_pixels)
        return EmbedBatch(
            EmbedImages(
                self.backbone,
                batch_size=self.settings.batch_size,
                embedding_dtype=self.settings.embedding_dtype,
                require_gpu=self.settings.require_gpu,
            )
        )


def how_of(settings: Settings) -> How:
    """Return how the settings have an image embedded.

    Raises:
      UsageError: they cannot be, or there is no such collection.
    """
    if settings.embeddings:
        collection = open_collection(settings.embeddings)
        spec = collection.spec
        # What a variable or a file says is meant for runs, and need not be this collection's.
        typed = [getattr(settings, name) for name in ("model", "weights") if settings.origins[name] == COMMAND_LINE]
        backbone = collection_backbone(spec, "".join(typed), settings.engine, settings.trust_model)
        decode = decode_from_spec(spec, settings.max_image_pixels)
        how = How(settings, backbone, decode, collection)
    else:
        (backbone,) = backbones_of(settings, Where())
        decode = decode_within(settings, settings, [backbone.size]).function
        how = How(settings, backbone, decode, None)
    if settings.require_gpu:
        check_gpu([how.backbone.for_this_machine()])
    return how
