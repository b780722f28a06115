"""Samples and class balance as a PNG file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import UserError
from hpo.text.values import count, number

if TYPE_CHECKING:
    from hpo.cli.preview.show_data import Row, Shown, Spread
    from hpo.data.dataset import Array

_DPI = 130
_COLUMNS = 16
_GAP = 2
"""Pixels between samples."""


def draw(shown: "Shown", file: Path) -> None:
    """Writes the picture: samples by class, augmented ones beside them, and the class balance below.

    Raises:
        UserError: the file is no .png, or cannot be written.
    """
    from matplotlib.figure import Figure

    if file.suffix.lower() != ".png":
        raise UserError(f"-o: must name a .png file, got {file}")
    galleries = [rows for rows in (shown.pictures, shown.augmented) if rows]
    lines = max((len(_lines(rows)) for rows in galleries), default=0)
    heights = [0.45 * lines + 0.6] if galleries else [3.5]
    classes = max((len(counts) for counts in shown.balance.values()), default=0)
    figure = Figure(figsize=(11, sum(heights) + 3.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[*heights, 3.2])[:, 0]
    figure.suptitle(f"{shown.info.name}: {shown.info.task}, samples of shape {shown.info.input_shape}")
    if galleries:
        for axes, rows, title in zip(
            top.subplots(1, len(galleries), squeeze=False)[0],
            galleries,
            ("training samples", "the same, augmented"),
            strict=False,
        ):
            _draw_samples(axes, rows, title)
    else:
        _draw_columns(top.subplots(1, 1), shown.columns)
    if classes:
        _draw_balance(bottom.subplots(1, 1), shown.balance)
    else:
        _draw_targets(bottom.subplots(1, 1), shown.targets)
    try:
        figure.savefig(file, dpi=_DPI)
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error}") from None


def _lines(rows: "Sequence[Row]") -> "list[list[tuple[str, Array]]]":
    """Labelled samples, line by line: a line for each class, or lines of single samples."""
    if all(len(row.samples) <= 1 for row in rows):
        single = [(row.label, sample) for row in rows for sample in row.samples]
        return [single[start : start + 6] for start in range(0, len(single), 6)]
    return [[(row.label, sample) for sample in row.samples] for row in rows if len(row.samples)]


def _draw_samples(axes: Any, rows: "Sequence[Row]", title: str) -> None:
    import numpy as np

    lines = _lines(rows)
    by_class = any(len(row.samples) > 1 for row in rows)
    height, width = lines[0][0][1].shape[:2]
    longest = max(map(len, lines))
    sheet = np.ones((len(lines) * (height + _GAP), longest * (width + _GAP), 3))
    for down, line in enumerate(lines):
        for right, (label, sample) in enumerate(line):
            top, left = down * (height + _GAP), right * (width + _GAP)
            colored = sample if sample.ndim == 3 else np.repeat(sample[..., None], 3, axis=-1)
            sheet[top : top + height, left : left + width] = colored
            if not by_class:
                axes.text(left, top, label, fontsize=7, color="tab:orange", va="top")
    axes.imshow(sheet, interpolation="nearest")
    axes.set_title(title)
    axes.set_xticks([])
    middles = [down * (height + _GAP) + height / 2 for down in range(len(lines))]
    axes.set_yticks(middles if by_class else [], [line[0][0] for line in lines] if by_class else [])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_balance(axes: Any, balance: "Mapping[str, Mapping[str, int]]") -> None:
    """Draws a group of bars for each class: its share of the samples of each part."""
    import numpy as np

    names = list(next(iter(balance.values())))
    for place, (part, counts) in enumerate(balance.items()):
        total = sum(counts.values())
        shares = [100 * samples / total for samples in counts.values()]
        places = np.arange(len(names)) + (place - 1) * 0.27
        axes.bar(places, shares, 0.25, label=f"{part}, {count(total)}")
    axes.set_xticks(range(len(names)), names, rotation=30 if max(map(len, names)) > 4 else 0)
    axes.set_ylabel("% of the part")
    axes.set_title("class balance")
    axes.set_ylim(top=1.2 * axes.get_ylim()[1])
    axes.legend(fontsize=8, ncols=len(balance), loc="upper right")


def _draw_columns(axes: Any, columns: "Sequence[Spread]") -> None:
    """Draws the range of each column, scaled to one height, with its mean and deviation."""
    shown = columns[:_COLUMNS]
    for place, column in enumerate(shown):
        extent = (column.largest - column.least) or 1.0
        mean, deviation = (column.mean - column.least) / extent, column.deviation / extent
        axes.plot([place, place], [0, 1], color="lightgrey", linewidth=6)
        axes.errorbar(place, mean, deviation, fmt="o", color="tab:blue", capsize=4)
        axes.text(place, 1.03, number(column.largest), ha="center", fontsize=7)
        axes.text(place, -0.1, number(column.least), ha="center", fontsize=7)
    axes.set_xticks(range(len(shown)), [column.name for column in shown], rotation=30, ha="right")
    axes.set_yticks([])
    axes.set_ylim(-0.15, 1.15)
    left_out = len(columns) - len(shown)
    axes.set_title("features: range, mean and deviation" + (f"; {left_out} more are not shown" if left_out else ""))


def _draw_targets(axes: Any, targets: "Mapping[str, Sequence[Spread]]") -> None:
    """Draws the range, the mean and the deviation of each target in each part."""
    labels: list[str] = []
    for part, spreads in targets.items():
        for one in spreads:
            place = len(labels)
            axes.plot([one.least, one.largest], [place, place], color="lightgrey", linewidth=8)
            axes.errorbar(one.mean, place, xerr=one.deviation, fmt="o", color="tab:blue", capsize=4)
            labels.append(f"{part}: {one.name}")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title("targets: range, mean and deviation")
