"""Keeps a library that writes to standard error on its own from talking over what we say there."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CHATTER: Final = re.compile(rb"[IW]\d{4} |INFO: |WARNING: Logging before InitGoogle")
"""How lines of MediaPipe and TensorFlow Lite begin that are no errors; no variable of theirs turns them off."""


@contextmanager
def without_chatter() -> Iterator[None]:
    """What is written to standard error inside, by C++ too, comes out at the end of the block without such lines."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not _CHATTER.match(line)))
