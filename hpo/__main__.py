"""`hpo`, and `python -m hpo`: the signals and streams of the process first, then the command."""

import atexit
import sys
from typing import NoReturn

from hpo.system import signals
from hpo.system.closed_pipes import outlast_readers
from hpo.system.scratch import take_everything


def main() -> NoReturn:
    """Runs the command and leaves the process; exit codes as of `command`, of a signal 128 and its number."""
    code = 1
    try:
        # First of all, since the next file to be opened would take the place of a stream that was closed.
        outlast_readers()
        signals.heed()
        take_everything()
        from hpo.cli.main import command

        code = command()
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    except signals.Signalled as signalled:
        sys.stderr.write("interrupted\n")
        code = signalled.exit_code
        atexit._run_exitfuncs()  # noqa: SLF001
    # Python would take the imported libraries apart, one object after the other: a second or two.
    signals.leave(code)


if __name__ == "__main__":
    main()
