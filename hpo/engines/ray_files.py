"""A file that travels in bytes between the coordinator and a machine of a Ray cluster, such as a checkpoint."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hpo.system.private_files import private_file, private_folder


@dataclass(frozen=True)
class File:
    """A file in bytes."""

    name: str
    """Its path, relative to whatever folder it is for."""
    content: bytes
    sha256: str

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> "File":
        """The file at a path."""
        content = path.read_bytes()
        return cls(name or path.name, content, hashlib.sha256(content).hexdigest())

    @property
    def is_whole(self) -> bool:
        """Whether it came as it was sent."""
        return hashlib.sha256(self.content).hexdigest() == self.sha256

    def write(self, path: Path) -> None:
        """Writes it, whole or not at all, so that only its owner can read it."""
        private_folder(path.parent)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            private_file(unfinished)
            unfinished.write_bytes(self.content)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
