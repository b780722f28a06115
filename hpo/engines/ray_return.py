"""The files of a trial that come back from the machine where it trained: checked, and put where its job wants them."""

from dataclasses import replace
from pathlib import Path

from hpo.engines.ray_files import File
from hpo.engines.ray_messages import Told
from hpo.training import checkpoint_file
from hpo.training.messages import Checkpoint, Checkpointed, Event, Finished, Job, Paused, Several

_DAMAGED = "came back damaged from the worker's machine"


def returned(told: Told, job: Job) -> Event | None:
    """The event with its files in place; None for a checkpoint that cannot be kept, since an older one is there."""
    files = list(told.files)
    event = _placed(told.event, files, job)
    for file in files:
        if job.callbacks_folder is not None:
            _kept(file, Path(job.callbacks_folder) / file.name)
    return event


def _placed(event: Event, files: list[File], job: Job) -> Event | None:
    """The event, whose files are taken from the list."""
    if isinstance(event, Several):
        placed = [_placed(one, files, job) for one in event.events]
        return replace(event, events=tuple(one for one in placed if one is not None))
    if isinstance(event, Checkpointed):
        kept, _ = _kept_checkpoint(event, event.checkpoint, files.pop(0), job)
        return None if kept is None else replace(event, checkpoint=kept)
    if isinstance(event, Paused) and event.checkpoint is not None:
        kept, problem = _kept_checkpoint(event, event.checkpoint, files.pop(0), job)
        return replace(event, checkpoint=kept, note=problem or event.note)
    if isinstance(event, Finished) and event.model_file is not None and job.save_to is not None:
        problem = _kept(files.pop(0), Path(job.save_to))
        model_file = job.save_to if problem is None else None
        return replace(event, model_file=model_file, model_note=problem or event.model_note)
    return event


def _kept_checkpoint(
    event: Event, checkpoint: Checkpoint, file: File, job: Job
) -> tuple[Checkpoint | None, str | None]:
    assert job.checkpoints is not None
    folder = Path(job.checkpoints.folder)
    problem = _DAMAGED if file.sha256 != checkpoint.sha256 else _kept(file, folder / file.name)
    if problem is not None:
        return None, f"its checkpoint {problem}"
    kept = replace(checkpoint, file=str(folder / file.name))
    checkpoint_file.delete(folder, event.trial, keep=[kept])
    return kept, None


def _kept(file: File, path: Path) -> str | None:
    """Writes a file; returns why it could not be kept."""
    if not file.is_whole:
        return _DAMAGED
    try:
        file.write(path)
    except OSError as error:
        return f"cannot be saved: {error.filename}: {error.strerror}"
    return None
