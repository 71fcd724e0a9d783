"""What this machine's decoders make of six small files, as one hash: other decoders, other pixels, another hash."""

import base64
import hashlib
from collections.abc import Callable

import numpy as np

from transforms.core.elements import ImageFacts, Size
from transforms.core.errors import ImageError

FILES = {
    "PNG": (
        "iVBORw0KGgoAAAANSUhEUgAAAA4AAAAKCAYAAACE2W/HAAABXElEQVR42m3QsW7TUBSH8e/ce2zH1+Q6cRuIASHEBgugCqkSI3MXhHgB3gMY"
        "eQZmYOEVmHkBlgompkoNVVW1QBrb5zIECRr1SN/4G85f2Li94uHrRqpXk1TSENhmREO40JQS3YRX5yOmLueKKRGPEIGw0SXw5ehbF9XxyxLn"
        "UvApPsVkApQXoT5/9LGWiju98m7/C0Xf3+vM8JbwatCOwdcIgUQAK9dQ5vGZkwq3UuI+hGFgOYBPCfqAFg1DHvmZlFZAxhEkoFwbA4Guy/l8"
        "6yZ1Z6h4XFIG11I/jiyKJUduyRPb5fR4TJYylLZGKPlNxZvbe2zJerlAxQ1LPLAjSNVguvN1JTv9qvkuHfkarh+vyAlkf1MKfDpEuAtpd2Uu"
        "fPDy4wyZOGEb5fo/+P/kKhm0c878fXI7ZyaL7NjyXA7EJXuLMo+XwoyA9BUn/YIpgS2LHGrJbPYC3Hv+AA53ZEsHCJaVAAAAAElFTkSuQmCC"
    ),
    "JPEG": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0N"
        "Dh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESUM8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7"
        "Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAAVABwDASIAAhEBAxEB/8QAGAABAQEBAQAAAAAAAAAAAAAABQAEAwf/xAAl"
        "EAABAwMDAwUAAAAAAAAAAAABAAIRAwQFEiJBMVFxEyEyQ4L/xAAXAQEBAQEAAAAAAAAAAAAAAAAFBAYH/8QAJREAAAQFAgcAAAAAAAAAAAAA"
        "AAECEQMEBSExIlEGEhMkYoGx/9oADAMBAAIRAxEAPwDzuxw4qVWsO0HmJS9PC06f2T+Uxb4sjoIPeFsbhXuALq+gEgTomJPlTRDmOYulj0L6"
        "JUaecHuFa38sMW1suCrbF9NqSZi9o2p61x1q65Y31qwYZn49vCUZi9o2phCjZw3KVLSMNtZ0/ZLWlqxj2uaYIMgqUjkXHF5Jatw1bh5eHmqd"
        "Q5hcgCRIOkcCApSA4imY0EoRQlml3djbDN9MbimnYx//2Q=="
    ),
    "GIF": (
        "R0lGODdhHAAVAIIAALjdxjbTmMOPvzGScuAzRdQSdlU+VlYMNywAAAAAHAAVAEAIogAPCBxIsKDAAggTKiwwoKGBhwQiSpxoQIDFixgFDAjA"
        "saNHjwBCihwpsqCBiSgJGFjIsqHLlzADZNQ486NNjiRzjjTIc+BKlgofCj2ZUuJDoAlhDigq0SLCowUwKn3pccDMqzdt6swZsadXpAm9ChwK"
        "FSxZokx/miXLNOLDqxeVtiUAVyrMuSRlZpzKt65dqjet+rWY9SOAAFvzFu6YWKTEgAA7"
    ),
    "WebP": (
        "UklGRh4BAABXRUJQVlA4WAoAAAAQAAAAGwAAFAAAQUxQSB4AAAABFyAQSNKefo2ICAcCAYpG6qSpHIjo/wRAVJde2yVWUDgg2gAAANAGAJ0B"
        "KhwAFQA+tU6eSyckIqGoDVDgFolsAJ0yhHj3rvD07Tu6sgIsA3kwBjIbiMZpAZa5SWIdK2/qvM1MAAD+4vZztI8JG3H08MHMNcgU6uit1+qN"
        "06rSgvE3tGE9j/SZooxKIqjvjPv9x/8d0nXK/SCZT+TbwzEflnXoD//SU4RIekzOyvP16mrukIKD+rx6JCXDEXoPUOtIAT1u6NKx/NUdsOKm"
        "bslSqI/O45Kw1nXw74Dluh/znJNbRDjJsOX4ZPPJ/v2Af4bzhdnYmB/7X3XvgSs7qjAA"
    ),
    "BMP": (
        "Qk36AAAAAAAAADYAAAAoAAAACQAAAAcAAAABABgAAAAAAMQAAADEDgAAxA4AAAAAAAAAAAAAi+MKmuMlqeNBuONdyeZ53umX6umw2+fPPePp"
        "AHbBCobBJZbCP6fBW6bJcs7Qpe/PlufL3ubA6QBhnApvmyd4lE2HlGeRknuPnKi0oJHlnuDenOkATXkHUm84HjLUGi7eJSvaimqqlXqcr3jZ"
        "yHjpADhVBz9POxQp6BAm7xAn6nFLpZdTsKNTzbJU6QAiLwguLjMiJqolJrkrJsBlLqCAL7COL86dL+kADQ0KHQ0kLg47Pg5XTw52Ww2Vag2y"
        "eQ3OiA3pAA=="
    ),
    "TIFF": (
        "SUkqAOAAAACAAoGg0SA0OjsHC4rg4fHYHE9Kg0trIGmpnA08ukGogEC8RDMXC5VCYRLkTCVgCYVqAXGVYC9AM4Xo50i9Ogcqjgdk8fugUhR3"
        "iYIOoThBSks4rAppdmlNRukqLIDnkmjg3lJqDIPN4XBptCsSqo1IpOHpKtk8K90nhkApOGETps3k1KHgzpRDntJJFUJxHpFQLRwJ5yulON4F"
        "ME7CVgoYfsJLFtgqc5MlTKVoM5LM93t5lud0sBzApxosSuNNEFxqkuuNcHlzMlLulvLB0upnudtulxj2AgAKAAABAwABAAAACQAAAAEBAwAB"
        "AAAABwAAAAIBAwADAAAAXgEAAAMBAwABAAAABQAAAAYBAwABAAAAAgAAABEBBAABAAAACAAAABUBAwABAAAAAwAAABYBAwABAAAABwAAABcB"
        "BAABAAAA1wAAABwBAwABAAAAAQAAAAAAAAAIAAgACAA="
    ),
}
"""Encoded once, of one picture: with alpha, with an EXIF turn and halved chroma, with a palette, lossy with alpha."""


def decoding_hash(decode: Callable[[bytes], tuple[ImageFacts, dict[Size, np.ndarray]]], size: Size) -> str:
    """Return the sha256, in hex, of the pixels that `decode` makes of FILES at a size.

    Args:
      decode: encoded bytes -> facts, and uint8 [H, W, 3] for each size; an ImageError counts by its reason, e.g. where
        a decoder is not installed.
      size: height and width, in px; one of those that `decode` decodes for.
    """
    found = hashlib.sha256()
    for text in FILES.values():
        try:
            _, by_size = decode(base64.b64decode(text))
            found.update(by_size[size].tobytes())
        except ImageError as e:
            found.update(e.reason.encode())
    return found.hexdigest()
