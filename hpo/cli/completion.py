"""Shell completion of study names, experiment files and keys; fast, and silent on errors."""

from collections.abc import Iterator

import typer

from hpo.system.home import expanded


def study_names(context: typer.Context, incomplete: str) -> list[str]:
    """The studies of the store that the command would read; none where the store cannot be read quickly."""
    from hpo.compare.study_list import lines_read_quickly
    from hpo.system.home import default_storage, home_folder

    try:
        options = context.params
        lines = lines_read_quickly(options.get("storage") or default_storage(home_folder(options.get("home"))))
        return [line.study for line in lines or () if line.study.startswith(incomplete)]
    except Exception:  # completion has no place to show an error
        return []


def experiment_files(incomplete: str) -> list[str]:
    """YAML files and folders that begin with `incomplete`; if that is empty, those in `experiments/` too."""
    try:
        return sorted({*_near(incomplete), *(() if incomplete else _near("experiments/"))})
    except Exception:  # as above
        return []


def keys(incomplete: str) -> list[str]:
    """Keys of the files that begin with `incomplete`."""
    from hpo.project.keys import complete

    return complete(incomplete)


def _near(incomplete: str) -> Iterator[str]:
    folder, _, begun = incomplete.rpartition("/")
    place = expanded("/" if incomplete.startswith("/") and not folder else folder or ".")
    for path in place.iterdir():
        hidden = path.name.startswith(".") and not begun.startswith(".")
        if not hidden and path.name.startswith(begun) and (path.is_dir() or path.suffix in (".yaml", ".yml")):
            above = incomplete[: len(incomplete) - len(begun)]
            yield f"{above}{path.name}{'/' if path.is_dir() else ''}"
