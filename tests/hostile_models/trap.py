"""What a hostile model would set off: code that leaves a trace, and a secret that blocks whoever reads it."""

import os
import pathlib

EVIL = """import os
def ran(*_, **__): os.close(os.open({trace!r}, os.O_CREAT | os.O_WRONLY))
ran()
class Evil:
    def __init__(self, *_, **__): ran()
    from_config = classmethod(lambda cls, config: cls())
"""


class Trap:
    """A folder to be on Python's path.

    Args:
      folder: an empty folder; it gets a module `evil`, whose import and objects leave a trace.

    Attributes:
      folder: likewise.
      trace: the file that code of a model would make.
      secret: a pipe that nobody writes to.
    """

    def __init__(self, folder: pathlib.Path):
        self.folder, self.trace, self.secret = folder, folder / "ran", folder / "secret"
        (folder / "evil.py").write_text(EVIL.format(trace=str(self.trace)))
        os.mkfifo(self.secret)
