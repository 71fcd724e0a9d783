"""An embedding spec says the same in its canonical JSON, whatever is in it."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from transforms import EmbeddingSpec

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KWARGS = st.dictionaries(st.text(), VALUES, max_size=4)
SIZES = st.tuples(st.integers(1, 10_000), st.integers(1, 10_000))
SPECS = st.builds(
    EmbeddingSpec,
    backbone_kwargs=KWARGS,
    classifier_activation=st.none() | st.text(),
    image_size=SIZES,
    decoded_for=SIZES,
)


def from_json(text: str) -> EmbeddingSpec:
    """Return the spec that a JSON says."""
    return EmbeddingSpec.of(json.loads(text))


def turned(value: Any) -> Any:
    """Return a value whose objects have their keys in the other order."""
    if isinstance(value, dict):
        return {key: turned(inner) for key, inner in reversed(value.items())}
    return [turned(inner) for inner in value] if isinstance(value, list) else value


@given(SPECS)
def test_the_json_of_a_spec_says_all_of_it(spec: EmbeddingSpec) -> None:
    again = from_json(spec.to_json())
    assert again == spec
    assert again.to_json() == spec.to_json()


def as_floats(value: Any) -> Any:
    """Return a value whose whole numbers are floats, where floats are as exact."""
    if isinstance(value, dict):
        return {key: as_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_floats(inner) for inner in value]
    return float(value) if type(value) is int and abs(value) < 2**53 else value


@given(SPECS, st.sampled_from([turned, as_floats]))
def test_equal_specs_have_equal_fingerprints(spec: EmbeddingSpec, retyped: Callable[[Any], Any]) -> None:
    other = dataclasses.replace(spec, backbone_kwargs=retyped(spec.backbone_kwargs))
    assert other == spec
    assert other.fingerprint == from_json(spec.to_json()).fingerprint == spec.fingerprint


@given(SPECS, SPECS, st.sampled_from([field.name for field in dataclasses.fields(EmbeddingSpec)]))
def test_specs_that_differ_in_one_field_have_different_fingerprints(
    spec: EmbeddingSpec, other: EmbeddingSpec, name: str
) -> None:
    changed = dataclasses.replace(spec, **{name: getattr(other, name)})
    assert (changed.fingerprint == spec.fingerprint) == (changed.to_json() == spec.to_json())
    if changed != spec:
        assert changed.fingerprint != spec.fingerprint
