"""Runs the command line: what went wrong is said in a line, and becomes an exit code."""

import signal
import sys
import traceback

from hpo.cli.commands import app
from hpo.errors import HpoError, Interrupted, StoreAway
from hpo.system import signals
from hpo.system.platforms import refuse_other_systems
from hpo.text.cleaning import clean


def command() -> int:
    """Runs the command; 0 done, 1 failed, 2 a mistake of the user's, 3 failed trials, 4 no store, 130 interrupted."""
    from hpo.text.console import spell_out_what_cannot_be_printed

    spell_out_what_cannot_be_printed()
    try:
        refuse_other_systems()
        app(standalone_mode=True)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except HpoError as error:
        number = None if isinstance(error, Interrupted) else signals.first()
        sys.stderr.write(f"{error}\n" if number is None else "interrupted\n")
        return error.exit_code if number is None else signals.exit_code(number)
    except BaseException as error:
        # A library may have made an error of its own of the signal that met it.
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signals.first()
        if number is not None:
            sys.stderr.write("interrupted\n")
            return signals.exit_code(number)
        if (said := database_failure(error)) is None:
            # A bug of hpo's: its traceback may quote a URL, or what a user's code raised.
            sys.stderr.write(clean(traceback.format_exc()))
            return 1
        sys.stderr.write(f"{clean(said)}\n")
        return StoreAway.exit_code
    return 0


def database_failure(error: BaseException) -> str | None:
    """What a database says that failed in the midst of a command; None for every other error."""
    # What no command has imported cannot have failed.
    if "sqlalchemy" not in sys.modules:
        return None
    from hpo.storage.database import is_database_error, reason_of

    return f"a database failed: {reason_of(error)}; run the command again" if is_database_error(error) else None
