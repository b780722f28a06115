"""The output of `hpo show-data`: samples and class balance, drawn with block characters; plain text when piped."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from hpo.text.console import width_of
from hpo.text.tables import Column, print_table
from hpo.text.values import count, counts, number

if TYPE_CHECKING:
    from hpo.cli.preview.show_data import Row, Shown, Spread
    from hpo.data.dataset import Array

_WIDEST = 28
"""The most characters across an image; larger images are made smaller."""
_BAR = 24
_COLUMNS = 10
_WIDER = "a wider window shows them"
_DARK_TO_BRIGHT = " .:-=+*#%@"


def print_shown(out: Console, shown: "Shown") -> None:
    """Prints samples, features, targets and class balance."""
    info = shown.info
    out.print(f"{info.name}: {info.task}, {counts(info.sizes)}; samples of shape {info.input_shape}", markup=False)
    for note in info.notes:
        out.print(Text(f"note: {note}"))
    if shown.pictures:
        _print_pictures(out, "Training samples", shown.pictures)
    if shown.augmented:
        _print_pictures(out, "The same, augmented", shown.augmented)
    if shown.rows is not None:
        _print_rows(out, shown)
    if shown.columns:
        _print_spreads(out, "Features of the training part, before scaling", shown.columns)
    for part, spreads in shown.targets.items():
        _print_spreads(out, f"Targets, {part} part", spreads)
    if shown.balance:
        _print_balance(out, shown.balance)


def _print_pictures(out: Console, title: str, rows: "Sequence[Row]") -> None:
    """Prints the first sample of each row, as many side by side as fit the terminal."""
    out.print(f"\n{title}", style="bold")
    drawn = [(row.label, _small(row.samples[0])) for row in rows if len(row.samples)]
    width = max(shades.shape[1] for _, shades in drawn) + 2
    beside = max(1, out.width // width)
    for start in range(0, len(drawn), beside):
        line = drawn[start : start + beside]
        out.print(Text("".join(f"{label[: width - 2]:<{width}}" for label, _ in line).rstrip()))
        pictures = [_lines(shades, colors=not out.no_color) for _, shades in line]
        for parts in zip(*pictures, strict=True):
            out.print(Text("  ").join(parts))


def _small(image: "Array") -> "Array":
    """An image of at most `_WIDEST` columns and rows, in shades from 0 to 255."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray((image * 255).astype(np.uint8))
    picture.thumbnail((_WIDEST, _WIDEST))
    return np.asarray(picture)


def _lines(shades: "Array", colors: bool) -> list[Text]:
    """Lines of characters, each of two rows of pixels: one above the other, or without colors their mean brightness."""
    import numpy as np

    if len(shades) % 2:
        shades = np.concatenate([shades, np.zeros_like(shades[:1])])
    if not colors:
        grey = shades if shades.ndim == 2 else shades.mean(axis=-1)
        grey = grey.reshape(len(grey) // 2, 2, -1).mean(axis=1) / 256 * len(_DARK_TO_BRIGHT)
        return [Text("".join(_DARK_TO_BRIGHT[int(shade)] for shade in line)) for line in grey]
    colored = shades if shades.ndim == 3 else np.repeat(shades[..., None], 3, axis=-1)
    lines = []
    for upper, lower in zip(colored[::2], colored[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper, lower, strict=True):
            line.append("▀", style=f"rgb({_rgb(top)}) on rgb({_rgb(bottom)})")
        lines.append(line)
    return lines


def _rgb(color: "Array") -> str:
    return ",".join(str(int(value)) for value in color)


def _print_rows(out: Console, shown: "Shown") -> None:
    assert shown.rows is not None
    more = f" and {len(shown.columns) - _COLUMNS} more columns" if len(shown.columns) > _COLUMNS else ""
    features = [
        Column(column.name, [number(float(row[place])) for row in shown.rows], 1)
        for place, column in enumerate(shown.columns[:_COLUMNS])
    ]
    label = Column("label", list(shown.labels), text=True)
    print_table(out, [*features, label], title=f"The first training samples{more}", more=_WIDER)


def _print_spreads(out: Console, title: str, spreads: "Sequence[Spread]") -> None:
    values = {
        name: [number(getattr(one, name)) for one in spreads] for name in ("least", "mean", "largest", "deviation")
    }
    names = Column("", [one.name for one in spreads], text=True)
    print_table(out, [names, *(Column(*one) for one in values.items())], title=title, more=_WIDER)


def _print_balance(out: Console, balance: Mapping[str, Mapping[str, int]]) -> None:
    """Prints a line for each class and a bar for each part; the largest class of a part has the longest bar."""
    most = {part: max(*found.values(), 1) for part, found in balance.items()}
    classes = list(next(iter(balance.values())))
    room, longest = width_of(out), max(map(len, classes), default=0)
    bar = _BAR if room is None else max(4, min(_BAR, (room - longest) // len(balance) - 10))
    bars = {
        part: [f"{'█' * round(bar * found[name] / most[part])} {count(found[name])}" for name in classes]
        for part, found in balance.items()
    }
    columns = [Column("class", classes, text=True), *(Column(part, lines, text=True) for part, lines in bars.items())]
    print_table(out, columns, title="Samples of each class", more=_WIDER)
