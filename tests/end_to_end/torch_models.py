"""Models of libraries upon PyTorch, exported, in a process of its own: PyTorch and TensorFlow end it if both load.

python -m tests.end_to_end.torch_models FOLDER  writes FOLDER/NAME/EXPORTER/model.onnx and FOLDER/NAME.npy
"""

import contextlib
import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

SIDE = 224
IMAGES = "images.npy"
"""What the models take: float32 [N, 3, H, W]."""
EXPORTERS = ("dynamo", "torchscript")
SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
}


def timm(name: str, **arguments: Any) -> Any:
    return importlib.import_module("timm").create_model(name, num_classes=0, **arguments)


def torchvision(name: str) -> Any:
    return getattr(importlib.import_module("torchvision.models"), name)()


def hugging_face(name: str, patch: int) -> Any:
    """Return an image tower, small, which gives its tokens and what it pools of them."""
    transformers = importlib.import_module("transformers")
    config = getattr(transformers, f"{name}Config")(**SMALL, patch_size=patch)
    tower = getattr(transformers, f"{name}Model")(config)

    class Tower(importlib.import_module("torch").nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower

        def forward(self, pixel_values: Any) -> Any:
            found = self.tower(pixel_values=pixel_values)
            return found.last_hidden_state, found.pooler_output

    return Tower()


MODELS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "timm-resnet18": (lambda: timm("resnet18"), []),
    "timm-convnext": (lambda: timm("convnext_atto"), []),
    "timm-efficientnet": (lambda: timm("efficientnet_b0"), []),
    "timm-swin": (lambda: timm("swin_tiny_patch4_window7_224"), []),
    "timm-vit": (lambda: timm("vit_tiny_patch16_224"), []),
    "timm-vit-tokens": (lambda: timm("vit_tiny_patch16_224", global_pool=""), ["--pooling", "cls"]),
    "timm-maps": (lambda: timm("mobilenetv3_small_100", global_pool=""), ["--pooling", "avg"]),
    "torchvision-resnet50": (lambda: torchvision("resnet50"), []),
    "torchvision-mobilenet": (lambda: torchvision("mobilenet_v3_small"), []),
    "clip": (lambda: hugging_face("CLIPVision", 16), ["--layer", "pooled"]),
    "dinov2": (lambda: hugging_face("Dinov2", 14), ["--layer", "pooled"]),
    "siglip": (lambda: hugging_face("SiglipVision", 16), ["--layer", "pooled"]),
}
"""Models with random weights, each with the flags that say which of its outputs is taken."""


def vectors(output: Any, flags: list[str]) -> np.ndarray:
    """Take of a model's output what its flags say: -> float32 [N, D]."""
    if "pooled" in flags:
        output = output[1]
    values: np.ndarray = output.numpy()
    if "cls" in flags:
        return values[:, 0]
    return values.mean((2, 3)) if "avg" in flags else values


if __name__ == "__main__":
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    folder = pathlib.Path(sys.argv[1])
    images = torch.from_numpy(np.load(folder / IMAGES))
    for name, (make, flags) in MODELS.items():
        with contextlib.suppress(ModuleNotFoundError):
            model = make().eval()
            with torch.no_grad():
                np.save(folder / f"{name}.npy", vectors(model(images), flags))
            outputs = ["tokens", "pooled"] if "pooled" in flags else ["vector"]
            dynamic: dict[str, dict[str, Any]] = {
                "dynamo": {"dynamic_shapes": ({0: "batch"},)},
                "torchscript": {"dynamic_axes": {one: {0: "batch"} for one in ("image", *outputs)}},
            }
            for exporter in EXPORTERS:
                path = folder / name / exporter / "model.onnx"
                path.parent.mkdir(parents=True)
                named = {"input_names": ["image"], "output_names": outputs, **dynamic[exporter]}
                torch.onnx.export(model, (images[:2],), path, dynamo=exporter == "dynamo", **named)
