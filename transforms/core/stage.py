"""Base of the public transforms: refuses elements of a wrong type when the pipeline is built."""

from typing import Any, ClassVar

import apache_beam as beam
from apache_beam.typehints.decorators import IOTypeHints, TypeCheckError


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


def typed(values: Any, element: type) -> Any:
    """Declare the element type of a tagged output, which Beam takes for Any: PCollection -> the same PCollection."""
    values.element_type = element
    return values
