"""`hpo`, and `python -m hpo`: prepares the streams and signals of the process, then runs the command."""

import atexit
import sys
from typing import NoReturn

from hpo.system import signals
from hpo.system.closed_pipes import survive_closed_pipes
from hpo.system.scratch import use_own_temporary_folder


def main() -> NoReturn:
    """Runs the command and leaves the process. Exits with the code of `command`, or with 128 + n after signal n."""
    code = 1
    try:
        # This comes first: the next file to be opened would get the number of a stream that was closed.
        survive_closed_pipes()
        signals.heed()
        use_own_temporary_folder()
        from hpo.cli.main import command

        code = command()
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    except signals.Signalled as signalled:
        sys.stderr.write("interrupted\n")
        code = signalled.exit_code
        atexit._run_exitfuncs()  # noqa: SLF001
    # Leaves at once, since Python would take a second or two to free the objects of the imported libraries.
    signals.leave(code)


if __name__ == "__main__":
    main()
