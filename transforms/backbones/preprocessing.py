"""What a whole model is fed: the ways to make a network's input from pixels, each declared once."""

import re
from typing import Any, NamedTuple

from transforms.core.errors import UsageError, did_you_mean
from transforms.core.spec import OWN_PREPROCESSING

Channels = tuple[float, float, float]
"""A number for each channel."""


class Preprocessing(NamedTuple):
    """A way to make a network's input from pixels: float32 [..., 3] RGB of 0 to 255 -> float32 [..., 3].

    Attributes:
      scale: divisor of the pixels, before the mean is taken off.
      mean: mean of each channel, in the network's order of them, of what the scale leaves.
      std: standard deviation of each channel, in the same order and unit.
      bgr: whether the network takes blue first.
    """

    scale: float = 1.0
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    bgr: bool = False

    def __call__(self, pixels: Any) -> Any:
        """Return (pixels / scale - mean) / std; takes arrays of NumPy and tensors of TensorFlow."""
        ordered = pixels[..., ::-1] if self.bgr else pixels
        return (ordered / self.scale - self.mean) / self.std


PREPROCESSINGS = {
    "raw": Preprocessing(),
    "unit": Preprocessing(255.0),
    "tf": Preprocessing(127.5, (1.0, 1.0, 1.0)),
    "torch": Preprocessing(255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": Preprocessing(1.0, (103.939, 116.779, 123.68), bgr=True),
    "clip": Preprocessing(255.0, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Ways by name. The constants of tf, torch and caffe are those of the modes of
`keras.applications.imagenet_utils.preprocess_input`, torch's also those of torchvision's models; those of clip are in
`_transform` of https://github.com/openai/CLIP/blob/main/clip/clip.py.
"""

CHOICES = f"{', '.join(PREPROCESSINGS)}, or mean=R,G,B,std=R,G,B"
_MEAN_AND_STD = re.compile("mean=([^=]+),std=([^=]+)")


def parse(text: str) -> Preprocessing:
    """Return the way that a name stands for, or that of its own mean and standard deviation: mean=R,G,B,std=R,G,B.

    Those two are of values from 0 to 1, as torchvision's `Normalize` and Hugging Face's `image_mean` have them; one
    number is for all channels.

    Raises:
      UsageError: the text is neither, or its numbers are not of values from 0 to 1.
    """
    if text in PREPROCESSINGS:
        return PREPROCESSINGS[text]
    found = _MEAN_AND_STD.fullmatch(text)
    if not found:
        hint = did_you_mean(text, [OWN_PREPROCESSING, *PREPROCESSINGS])
        raise UsageError(f"--preprocess must be {OWN_PREPROCESSING}, {CHOICES}, is {text!r}{hint}")
    try:
        mean, std = (_channels(numbers) for numbers in found.groups())
    except ValueError as e:
        raise UsageError(f"--preprocess needs 1 or 3 numbers for mean and for std, is {text!r}") from e
    if not all(0 <= m <= 1 for m in mean) or not all(0 < s <= 1 for s in std):
        raise UsageError(
            f"--preprocess takes mean and std of values from 0 to 1; divide those of pixels by 255: {text}"
        )
    return Preprocessing(255.0, mean, std)


def canonical(text: str) -> str:
    """Return the one spelling of what a text stands for, so that equal ways have equal fingerprints.

    Raises:
      UsageError: as `parse`.
    """
    text = "".join(text.lower().split())
    if text in (OWN_PREPROCESSING, *PREPROCESSINGS):
        return text
    way = parse(text)
    return f"mean={','.join(map(str, way.mean))},std={','.join(map(str, way.std))}"


def _channels(numbers: str) -> Channels:
    values = [float(number) for number in numbers.split(",")]
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue
