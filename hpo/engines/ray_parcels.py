"""What each order to a worker needs of this machine's files."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpo.config.named import own_paths
from hpo.engines.ray_files import File
from hpo.engines.ray_messages import Parcel
from hpo.engines.ray_sender import Sender, SentCode
from hpo.engines.worker import Discover, Examine
from hpo.models import application
from hpo.training.messages import Job


class Parcels:
    """Makes the parcels of a run."""

    def __init__(self, runtime_env: Mapping[str, Any], alone: bool) -> None:
        """`alone`: whether all workers are on this machine, where the user's code is."""
        working_dir = str(runtime_env.get("working_dir", ""))
        is_folder = bool(working_dir) and Path(working_dir).is_dir()
        self.working_dir = str(Path(working_dir).absolute()) if is_folder else None
        """The folder that Ray copies to all machines."""
        self._alone = alone
        self._sender = Sender(alone)

    def of_data(self, folder: str, import_paths: Sequence[str]) -> Parcel:
        """A prepared dataset, with the user's code if that makes it."""
        return Parcel(self._sender.data(folder), self._code(import_paths, _is_made_by_code(Path(folder))))

    def of(self, job: Job) -> Parcel:
        """What a job needs."""
        own = not self._alone and (
            ":" in job.model or bool(own_paths(job.training)) or _has_file(job) or _is_made_by_code(Path(job.data))
        )
        checkpoint = None
        if job.resume is not None:
            # Without it the trial begins again, and says why.
            with suppress(OSError):
                checkpoint = File.of(Path(job.resume.file))
        gone = self._sender.gone()
        return Parcel(self._sender.data(job.data), self._code(job.import_paths, own), checkpoint, gone)

    def of_exploring(self, order: Discover | Examine) -> Parcel:
        """What the exploration of a model needs."""
        if isinstance(order, Examine):
            return self.of(order.jobs[0])
        return Parcel(self._sender.data(order.data), self._code(order.import_paths, True))

    def close(self) -> None:
        """Makes no more parcels."""
        self._sender.close()

    def _code(self, folders: Sequence[str], own: bool) -> tuple[tuple[str, SentCode | None], ...]:
        travelling = [folder for folder in folders if own and self._travels(folder)]
        return tuple((folder, self._sender.code(folder) if folder in travelling else None) for folder in folders)

    def _travels(self, folder: str) -> bool:
        there = self.working_dir is not None and Path(folder).absolute().is_relative_to(self.working_dir)
        return not self._alone and not there


def _has_file(job: Job) -> bool:
    """Whether the model takes its weights from a file of the user."""
    return job.model == "application" and job.params.get("weights", "imagenet") not in application.OFFERED


def _is_made_by_code(folder: Path) -> bool:
    """Whether a prepared dataset calls a function of the user."""
    described = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return any(described.get(source) is not None for source in ("stream", "batches"))
