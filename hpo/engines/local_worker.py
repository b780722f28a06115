"""A worker process of this machine, as its engine knows it."""

from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from hpo.engines.gpus import Share
from hpo.training.messages import Job


@dataclass
class LocalWorker:
    """A worker process, its job and the next one."""

    process: BaseProcess
    connection: Connection
    log: Path
    share: Share
    log_start: int = 0
    """Size of the log when the job was handed out."""
    trial: int | None = None
    at_end: bool = False
    """Whether the training of its trial has ended."""
    may_pause: bool = False
    next: Job | None = None
    """The job that it trains after that."""
    first_memory: int | None = None
    worn: bool = False
    oom_kills: int = 0
