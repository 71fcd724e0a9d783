"""What libraries upon PyTorch make of an image, in a process of its own: PyTorch and TensorFlow end it if both load.

python -m tests.end_to_end.torch_libraries IMAGE.png ...  writes IMAGE.png.npz
"""

import contextlib
import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image

SIDE = 224
IMAGENET = ("IMAGENET_DEFAULT_MEAN", "IMAGENET_DEFAULT_STD")
DINOV2 = {"size": {"shortest_edge": 256}, "image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}
"""What differs from the defaults in the preprocessor_config.json of facebook/dinov2-base."""


def torchvision(weights: str) -> Callable[[PIL.Image.Image], Any]:
    models = importlib.import_module("torchvision.models")
    transform = getattr(models.ResNet50_Weights, weights).transforms()
    return lambda image: transform(image).numpy()


def timm(mean: str, std: str, **config: Any) -> Callable[[PIL.Image.Image], Any]:
    data = importlib.import_module("timm.data")
    statistics = {"mean": getattr(data, mean), "std": getattr(data, std), "input_size": (3, SIDE, SIDE)}
    own = {"interpolation": "bicubic", **statistics, **config}
    transform = data.create_transform(**data.resolve_data_config({}, pretrained_cfg=own))
    return lambda image: transform(image).numpy()


def dinov2() -> Callable[[PIL.Image.Image], Any]:
    """Return the steps of `make_classification_eval_transform` in dinov2/data/transforms.py, which is in no package."""
    steps = importlib.import_module("torchvision.transforms")
    transform = steps.Compose(
        [
            steps.Resize(256, interpolation=steps.InterpolationMode.BICUBIC),
            steps.CenterCrop(SIDE),
            steps.ToTensor(),
            steps.Normalize(DINOV2["image_mean"], DINOV2["image_std"]),
        ]
    )
    return lambda image: transform(image).numpy()


def hugging_face(processor: str, **config: Any) -> Callable[[PIL.Image.Image], Any]:
    made = getattr(importlib.import_module("transformers"), processor)(**config)
    return lambda image: made(image, return_tensors="np")["pixel_values"][0]


ROWS: dict[str, Callable[[], Callable[[PIL.Image.Image], Any]]] = {
    "torchvision: ResNet50_Weights.IMAGENET1K_V1": lambda: torchvision("IMAGENET1K_V1"),
    "torchvision: IMAGENET1K_V2": lambda: torchvision("IMAGENET1K_V2"),
    "timm: ImageNet's mean and std, crop_pct=0.875": lambda: timm(*IMAGENET, crop_pct=0.875),
    "timm: ImageNet's mean and std, crop_pct=0.95": lambda: timm(*IMAGENET, crop_pct=0.95),
    "timm: Inception's": lambda: timm("IMAGENET_INCEPTION_MEAN", "IMAGENET_INCEPTION_STD", crop_pct=1.0),
    "timm: CLIP's": lambda: timm("OPENAI_CLIP_MEAN", "OPENAI_CLIP_STD", crop_pct=1.0, crop_mode="squash"),
    "CLIP:": lambda: hugging_face("CLIPImageProcessor"),
    "DINOv2: its": dinov2,
    "DINOv2: Hugging Face's": lambda: hugging_face("BitImageProcessor", **DINOV2),
    "SigLIP:": lambda: hugging_face("SiglipImageProcessor"),
}
"""By how a row of the table in docs/use/models.md begins: an image -> float [3, H, W] as a network takes it."""


if __name__ == "__main__":
    transforms: dict[str, Callable[[PIL.Image.Image], Any]] = {}
    for name, make in ROWS.items():
        with contextlib.suppress(ModuleNotFoundError):
            transforms[name] = make()
    for path in sys.argv[1:]:
        image = PIL.Image.open(path)
        np.savez(f"{path}.npz", **{name: transform(image) for name, transform in transforms.items()})
