"""What comes from the user's code, in the events of training: capped, and spelled out."""

from collections.abc import Mapping
from dataclasses import replace

from hpo.text.cleaning import LONGEST_LINE, LONGEST_NAME, clean, shortened, visible
from hpo.training.messages import EpochDone, Event, Failed, Finished, Lost, Paused, Started


def cleaned(event: Event) -> Event:
    """An event as stores, files and terminals can take it.

    Whoever hears an engine's events passes them through here first.
    """
    match event:
        case Failed():
            event = replace(event, message=clean(event.message, LONGEST_LINE), traceback=clean(event.traceback))
        case Lost():
            event = replace(event, message=clean(event.message, LONGEST_LINE), printed=clean(event.printed))
        case Started():
            over, through = _note(event.started_over), _note(event.trains_through)
            event = replace(event, note=_note(event.note), started_over=over, trains_through=through)
        case EpochDone():
            event = event if _sound(event.metrics) else replace(event, metrics=_named(event.metrics))
        case Paused():
            event = replace(event, note=_note(event.note))
        case Finished():
            test = event.test if _sound(event.test) else _named(event.test)
            event = replace(event, test=test, test_note=_note(event.test_note), model_note=_note(event.model_note))
    return event


def _note(note: str | None) -> str | None:
    return None if note is None else clean(note, LONGEST_LINE)


def _sound(values: Mapping[str, float]) -> bool:
    return all(name.isprintable() and len(name) <= LONGEST_NAME for name in values)


def _named(values: Mapping[str, float]) -> dict[str, float]:
    return {visible(shortened(name, LONGEST_NAME)).replace("\n", " "): value for name, value in values.items()}
