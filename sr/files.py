"""Writing files so that a kill or a full disk never leaves half of one."""

import os
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` fill a temporary file beside `path`, then syncs and renames it. Makes the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
