"""Decode images to pixels at the sizes that the backbones take: the owner of Pillow.

`decode_image` is the function, and `DecodeImages` applies it to a PCollection. What Pillow reads wrong is read right
here, or refused with a reason.
"""

from transforms.decode.decoder import decode_image
from transforms.decode.images import DecodeImages
from transforms.decode.opening import FORMATS

__all__ = ["FORMATS", "DecodeImages", "decode_image"]
