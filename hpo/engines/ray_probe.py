"""What is installed on a machine. Ray carries this module's functions there by value: hpo may be missing."""

import hashlib
import importlib.metadata
import importlib.util
import platform
import socket
from pathlib import Path

_PACKAGES = {"Ray": "ray", "TensorFlow": "tensorflow", "Keras": "keras"}


def probe() -> dict[str, str]:
    """Name -> version, `missing` where there is none; and the name of the `machine`."""
    found = {"machine": socket.gethostname(), "Python": platform.python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "missing"
    found["hpo"] = _code()
    return found


def _code() -> str:
    """The digest of the code of hpo: two checkouts of one version may differ."""
    spec = importlib.util.find_spec("hpo")
    if spec is None or spec.origin is None:
        return "missing"
    folder, digest = Path(spec.origin).parent, hashlib.sha256()
    for file in sorted(folder.rglob("*.py"), key=lambda file: file.relative_to(folder).parts):
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:12]
