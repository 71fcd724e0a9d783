"""Base of the public transforms: refuses what cannot work when the pipeline is built.

What Beam cannot know then, since a function says nothing of what it returns, is refused with the first element.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import apache_beam as beam
from apache_beam.typehints.decorators import IOTypeHints, TypeCheckError

from transforms.core.elements import Size
from transforms.core.errors import UsageError


class Stage(beam.PTransform):
    """A transform that declares the type of its elements.

    Attributes:
      takes: type of the elements; None for a root transform.

    Raises:
      TypeCheckError: the PCollection has another type; the message is one sentence.
    """

    takes: ClassVar[type | None] = None

    def __post_init__(self) -> None:
        super().__init__()

    def default_type_hints(self) -> IOTypeHints:
        # Not from expand's annotations: Beam warns if an output is a named tuple of PCollections.
        hints = IOTypeHints.empty()
        return hints.with_input_types(self.takes) if self.takes else hints

    def type_check_inputs(self, given: Any) -> None:
        """Refuse a PCollection of other elements than `takes`."""
        try:
            super().type_check_inputs(given)
        except TypeCheckError as e:
            found = getattr(given.element_type, "__name__", given.element_type)
            taken = getattr(self.takes, "__name__", self.takes)
            raise TypeCheckError(f"{type(self).__name__} takes a PCollection of {taken}, not one of {found}") from e


def check_element(element: Any, takes: type, stage: str) -> None:
    """Refuse an element of another type than a stage takes.

    Raises:
      TypeError: in one sentence.
    """
    if not isinstance(element, takes):
        raise TypeError(f"{stage} takes {takes.__name__}, not the {type(element).__name__} {str(element)[:80]!r}")


def sized(pixels: Any, sizes: Sequence[Size]) -> Any:
    """Note the sizes of a PCollection's pixels, so that the next stage can check them: it -> the same PCollection."""
    pixels.image_sizes = tuple(sizes)
    return pixels


def check_sizes(pixels: Any, size: Size) -> None:
    """Refuse pixels that were decoded for other backbones only: a PCollection, or Pixels.

    Raises:
      UsageError: the size is not among those that are known.
    """
    sizes = getattr(pixels, "image_sizes", (size,))
    if size not in sizes:
        decoded = ", ".join(f"{height} x {width}" for height, width in sizes)
        raise UsageError(
            f"the backbone takes {size[0]} x {size[1]} px, but images are decoded at {decoded}; "
            "give its size to the decoder: DecodeImages([backbone.size])"
        )


def typed(values: Any, element: type) -> Any:
    """Declare the element type of a tagged output, which Beam takes for Any: PCollection -> the same PCollection."""
    values.element_type = element
    return values
