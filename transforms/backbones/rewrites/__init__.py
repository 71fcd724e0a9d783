"""Rewrite a backbone's model so that it computes the same faster: one call, and one switch that turns it off.

- `fold`: batch normalizations, paddings and preprocessing go into the layers beside them.
- `max_pooling`: zero padding before a max pooling becomes the pooling's own.
- `winograd`: convolutions of 3 x 3 with many channels take a quarter or a fifth of the multiplications.
- `variables`: small weights become constants of the graph, and all variables share a name.

All but the last round differently from Keras. To check a doubtful number, run the model as Keras built it:
`Backbone(rewrites=False)`, or EMBED_IMAGES_REWRITES=0 for the command. docs/design/speed.md says what each rewrite
gains.
"""

from typing import Any

from transforms.backbones.backbone import Backbone, KerasModel
from transforms.backbones.engines import dtype_policy
from transforms.backbones.engines.devices import has_gpu
from transforms.backbones.graph.source import TensorFunction
from transforms.backbones.rewrites.fold import fold
from transforms.backbones.rewrites.variables import of_one_name, with_constants
from transforms.backbones.rewrites.winograd import winograd


def rewrite(model: KerasModel, preprocess: TensorFunction, backbone: Backbone) -> tuple[TensorFunction, Any]:
    """Rewrite a model and its preprocessing for what will compute it.

    Args:
      model: as Keras built it.
      preprocess: preprocessing of the pixels, float32 [B, H, W, 3] -> what the model takes.
      backbone: its `rewrites`, engine and precision decide what is done.

    Returns:
      The function of the pixels, float32 [B, H, W, 3] -> [B, D], and the variables that it reads.
    """
    if not backbone.rewrites:
        return lambda x: model(preprocess(x), training=False), [weight.value for weight in model.weights]
    # Mixed precision, on a GPU, normalizes in float32, and would round the biases that folding makes. A processor that
    # computes in bfloat16 rounds them as well, but folding makes MobileNetV2 2.8 times as fast there.
    if dtype_policy(backbone.engine, backbone.precision) == "float32":
        # Winograd's sums need full float32; on a GPU, cuDNN does the same by itself.
        exact = backbone.precision == "float32" and not has_gpu()
        with of_one_name():
            model, preprocess = fold(model, preprocess, winograd) if exact else fold(model, preprocess)
    function, variables = with_constants(model)
    return lambda x: function(preprocess(x)), variables
