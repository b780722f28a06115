"""The output of `hpo compare`: tables for people, JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hpo.cli.json_output import finite
from hpo.cli.trial_output import result
from hpo.compare.compare import parameter_columns as columns_of_parameters
from hpo.compare.sentences import noise_floor_sentence, study_sentences
from hpo.compare.summary import StudySummary, differences, summaries
from hpo.text.tables import Column, by_variation, fits, parameter_columns, print_settings, print_table
from hpo.text.values import NOTHING, count, duration, score, setting

if TYPE_CHECKING:
    import pandas as pd

    from hpo.study.read import StudyView

# The most rows in a terminal, since nobody reads more; files have all rows.
_LINES = 100
# Ranks of columns: where there is no room, columns of larger rank are left out first. Scores, which are not named
# here, are kept.
_RANKS = {
    "confirmed_mean": 1, "verdict": 1, "noise_floors_behind": 1, "behind": 6, "confirmed_low": 6, "confirmed_high": 6,
    "seconds": 5, "model_parameters": 7,
}  # fmt: skip
_HEADINGS = {"seconds": "time", "model_parameters": "size", "noise_floors_behind": "floors behind"}


def print_comparison(out: Console, views: "Sequence[StudyView]", frame: "pd.DataFrame", wide: bool = False) -> None:
    """Prints the ranked trials; for several studies first the studies and the differences in their definitions."""
    if len(views) > 1:
        _print_studies(out, summaries(views), wide)
        _print_differences(out, differences(views), [view.name for view in views], wide)
    _print_trials(out, frame, columns_of_parameters(views), wide)
    if "noise_floors_behind" in frame.columns:
        out.print("floors behind: how many noise floors a single run is behind the best single run.")
    for sentence in filter(None, map(noise_floor_sentence, views)):
        out.print(sentence)


def comparison_json(views: "Sequence[StudyView]", frame: "pd.DataFrame") -> dict[str, Any]:
    """The comparison for programs: `trials`, `studies`, `sentences`, and `differences` in their definitions."""
    lines = summaries(views)
    rows = frame.astype(object).to_dict(orient="records")
    return {
        "trials": [{str(name): finite(value) for name, value in row.items()} for row in rows],
        "studies": [asdict(line) for line in lines],
        "sentences": [*study_sentences(lines), *filter(None, map(noise_floor_sentence, views))],
        "differences": differences(views),
    }


def _print_studies(out: Console, lines: Sequence[StudySummary], wide: bool) -> None:
    columns = [
        Column("study", [line.study for line in lines], text=True),
        Column("objective", [line.metric for line in lines], 5, text=True),
        Column("best", [score(line.best) for line in lines]),
        Column("trial", [NOTHING if line.trial is None else str(line.trial) for line in lines], 3),
        Column("trials", [count(line.trials) for line in lines], 2),
        Column("time", [duration(round(line.seconds)) for line in lines], 4),
        Column("mean by trials", [score(line.by_trials) for line in lines], 7),
        Column("mean by time", [score(line.by_time) for line in lines], 6),
        Column("behind", [score(line.behind) for line in lines], 3),
        Column("floors behind", [_floors(line.noise_floors_behind) for line in lines], 8),
        Column("confirmed", [score(line.confirmed) for line in lines], 1),
        Column("by confirmed means", [line.verdict or NOTHING for line in lines], 1, text=True),
    ]
    left_out = print_table(out, columns, title="Studies", wide=wide)
    if not {"mean by trials", "mean by time"} <= set(left_out):
        out.print(
            "mean by trials, by time: the best score so far, averaged from where every study has one to the length of "
            "the shortest study."
        )
    for sentence in study_sentences(lines):
        out.print(sentence)
    out.print()


def _floors(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _print_differences(out: Console, found: Mapping[str, Mapping[str, Any]], names: Sequence[str], wide: bool) -> None:
    if not found:
        out.print("The studies have the same definition.\n")
        return
    rows = {
        key: [setting(values[name]) if name in values else NOTHING for name in names] for key, values in found.items()
    }
    columns = [Column("differs in", list(rows), text=True)]
    columns += [Column(name, [cells[place] for cells in rows.values()], text=True) for place, name in enumerate(names)]
    if wide or fits(out, columns):
        print_table(out, columns, title="Definitions", wide=wide)
    else:
        out.print("Definitions")
        for key, cells in rows.items():
            print_settings(out, f"{key}:", dict(zip(names, cells, strict=True)))
    out.print()


def _print_trials(out: Console, frame: "pd.DataFrame", parameters: Sequence[str], wide: bool) -> None:
    """Prints the table of trials; parameters that never vary are named below it."""
    if frame.empty:
        out.print("no trials: none has started yet, or none meets --where")
        return
    params = {name: _as_set(frame[name]) for name in parameters if name in frame.columns}
    same = {name: values[0] for name, values in params.items() if len(frame) > 1 and len(set(map(repr, values))) == 1}
    varied = [name for name in by_variation(params) if name not in same]
    lines = frame.head(_LINES)
    columns = list(_result_columns(lines, [*params, *(() if frame["study"].nunique() > 1 else ["study"])]))
    tests = next((place for place, one in enumerate(columns) if one.name.startswith("test_")), len(columns))
    columns[tests:tests] = parameter_columns({name: params[name][:_LINES] for name in varied}, varied)
    print_table(out, columns, title="Trials, by validation score", wide=wide, bold=0)
    if len(frame) > _LINES:
        out.print(
            f"and {count(len(frame) - _LINES)} more trials: select some with --where, or write all to a file with --csv"
        )
    known = {name: setting(value) for name, value in same.items() if value is not None}
    if known:
        print_settings(out, "the same in all:", known)


def _result_columns(frame: "pd.DataFrame", others: Sequence[str]) -> Iterator[Column]:
    """The columns of the table that are no parameters, formatted for people."""
    tests = [name for name in frame.columns if name.startswith("test_")]
    for name in frame.columns:
        values = list(map(finite, frame[name]))
        if name in others or name in ("epochs", "failure"):
            continue
        if name == "state":
            states = [finite(why) or state for why, state in zip(frame["failure"], values, strict=True)]
            failed = any(why is not None for why in map(finite, frame["failure"]))
            yield Column("state", states, 1 if failed else 3, states=True)
        elif name == "best_epoch":
            epochs = [f"{_whole(best)}/{_whole(all_)}" for best, all_ in zip(values, frame["epochs"], strict=True)]
            yield Column("epoch", epochs, 4)
        else:
            rank = _RANKS.get(name, 2 if name in tests[:1] else 8 if name in tests else 0)
            cells = [_floors(one) if name == "noise_floors_behind" else result(name, one) for one in values]
            yield Column(_HEADINGS.get(name, name), cells, rank, text=name in ("study", "verdict"))


def _as_set(column: "pd.Series[Any]") -> list[Any]:
    """The values of a parameter. pandas makes whole numbers floats where values are missing; this undoes it."""
    values = list(map(finite, column))
    whole = all(isinstance(one, float) and one.is_integer() for one in values if one is not None)
    return [None if one is None else int(one) for one in values] if whole else values


def _whole(value: Any) -> str:
    """A count as text. pandas makes whole numbers floats in a column where values are missing."""
    return NOTHING if finite(value) is None else str(int(value))
