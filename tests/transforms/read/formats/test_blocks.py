"""Blocks are whole lines, and lose no byte."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.read.formats import blocks
from transforms.read.formats.blocks import Blocks


@given(st.text("a\n\r", max_size=60).map(str.encode), st.integers(1, 20))
def test_blocks_and_the_rest_are_the_file(content: bytes, block_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", block_bytes)
        found = Blocks(io.BytesIO(content))
        given_ = []
        for block in found:
            assert block.endswith(b"\n")
            assert content[found.start : found.stop] == block
            given_.append(block)
        assert b"".join(given_) + found.rest().read() == content


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_in_another_encoding_has_no_blocks(encoding: str) -> None:
    content = "a\nb\n".encode(encoding)
    found = Blocks(io.BytesIO(content))
    assert list(found) == []
    assert (found.encoding, found.rest().read()) == (encoding, content)


def test_a_mark_of_utf8_is_no_part_of_a_block_and_what_was_taken_is_given_no_more() -> None:
    found = Blocks(io.BytesIO(b"\xef\xbb\xbfa\nb\nc\n"))
    assert (next(found), found.start) == (b"a\nb\nc\n", 3)
    found.give_back(b"b\nc\n")
    assert found.take(2) == b"b\n"
    assert (next(found), found.start, found.stop) == (b"c\n", 7, 9)
    assert list(found) == []
