"""Lines of a text file, none longer than ROW_BYTES characters: a longer one is passed over without being held."""

import codecs
import io
from collections.abc import Iterator
from typing import Any

from transforms.core.errors import one_line
from transforms.read.bounds import ROW_BYTES

ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the byte order mark that a file begins with; any other file is UTF-8."""

UTF8 = "utf-8"


def encoding_of(head: bytes) -> tuple[int, str]:
    """Return the encoding of a file by its first bytes, and how many of them are a mark that its decoder would keep."""
    if head.startswith(codecs.BOM_UTF8):
        return len(codecs.BOM_UTF8), UTF8
    return 0, next((name for mark, name in ENCODINGS.items() if head.startswith(mark)), UTF8)


class TooLongError(ValueError):
    """A line, or a CSV row of several lines, of more than ROW_BYTES characters."""

    def __init__(self) -> None:
        super().__init__(f"a row of more than {ROW_BYTES:,} characters")


class Lines(Iterator[str]):
    """The lines of a binary file with their line ends.

    Bytes that are no UTF-8 become surrogates, as in the names of files.

    Args:
      f: the file.
      encoding: its encoding; '' if its first bytes say it.

    Attributes:
      at_end: whether a line was asked for and there was none.
    """

    def __init__(self, f: Any, encoding: str = ""):
        buffered = f if hasattr(f, "peek") else io.BufferedReader(f)
        if not encoding:
            mark, encoding = encoding_of(buffered.peek(4)[:4])
            buffered.read(mark)
        errors = "surrogateescape" if encoding == UTF8 else "surrogatepass"
        self._readline = io.TextIOWrapper(buffered, encoding, errors=errors, newline="").readline
        self._row: list[str] = []
        self._again: list[str] = []
        self._taken = 0
        self.at_end = False

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._readline(ROW_BYTES + 1)
        if not line:
            self.at_end = True
            raise StopIteration
        self._taken += len(line)
        if len(line) <= ROW_BYTES:
            self._row.append(line)
        else:
            while line and not line.endswith(("\n", "\r")):
                line = self._readline(ROW_BYTES)
        if self._taken > ROW_BYTES:
            raise TooLongError
        return line

    def rows(self) -> Iterator[tuple[str, str, int]]:
        """Yield each line as a row: ('', line, its size in characters), or (why, '', size) of one that is too long."""
        while True:
            try:
                why, line = "", next(self)
            except StopIteration:
                return
            except TooLongError as e:
                why, line = one_line(e), ""
            yield why, line, self.row_ended()

    def row_ended(self) -> int:
        """Begin a new row, also after a TooLongError; return how many characters the row before it had."""
        taken, self._taken = self._taken, 0
        self._row.clear()
        return taken

    def give_again(self) -> None:
        """Begin a new row with the second line of the present one."""
        self._again += reversed(self._row[1:])
        self.at_end = False
        self.row_ended()
