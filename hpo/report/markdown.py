"""The report as a short Markdown text: for a pull request."""

from collections.abc import Sequence

from hpo.compare.sentences import study_sentences
from hpo.compare.summary import summaries
from hpo.report.answer import answer
from hpo.report.charts import failures
from hpo.report.copied_commands import USUAL, Stores
from hpo.report.range_edges import alarms
from hpo.report.thinning import Source
from hpo.study.record import TrialRecord
from hpo.text.cleaning import code
from hpo.text.cleaning import markdown as escaped
from hpo.text.values import NOTHING, count, duration, score, setting

_TOP = 5


def markdown(sources: Sequence[Source], stores: Stores = USUAL) -> str:
    """The answer of each study and its best trials; of several studies first which is better, and how sure that is."""
    together = [escaped(line) for line in study_sentences(summaries([source.view for source in sources]))]
    first = ["\n\n".join(together) + "\n"] if together else []
    return "\n".join([*first, *("\n".join(_study(source, stores)) for source in sources)])


def _study(source: Source, stores: Stores) -> list[str]:
    view, found = source.view, answer(source.view, stores)
    lines = [f"## {escaped(view.name)}", ""]
    lines += [f"**{escaped(found.headline)}** {escaped(' '.join(found.sure))}".rstrip(), ""]
    if found.trial is not None:
        lines += ["; ".join(f"{name}: {value}" for name, value in found.cost), ""]
        lines += [", ".join(f"{code(name)} {code(value)}" for name, value in found.params), ""]
        lines += _table(source)
    lines += [f"{code(command)} {what}" + "  " for command, what in found.next] + [""]
    for alarm in alarms(source):
        lines.append(
            f"- {code(alarm.parameter)}: {alarm.found} of the best {alarm.among} trials are at the {alarm.edge} end of "
            f"its range, {alarm.limit}: {alarm.advice}."
        )
    lines += [f"- {count(len(row.numbers))} trials failed: {escaped(row.reason)}." for row in failures(view.trials)]
    return [*lines, "", "The test part was not used for any choice.", ""]


def _table(source: Source) -> list[str]:
    names = list(source.distributions)
    head = ["trial", "state", source.view.objective.metric, "epochs", "time", "parameters", *names]
    rows = [_row(trial, names) for trial in source.scored[:_TOP]]
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows), ""]


def _row(trial: TrialRecord, names: Sequence[str]) -> list[str]:
    return [
        str(trial.number), trial.status, score(trial.value), str(trial.epochs), duration(trial.seconds),
        count(trial.model_parameters), *(setting(trial.params[n]) if n in trial.params else NOTHING for n in names),
    ]  # fmt: skip


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"
