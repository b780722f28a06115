"""Runs the command line. An error becomes a message in a line and an exit code."""

import signal
import sys
import traceback

from hpo.cli.commands import app
from hpo.errors import HpoError, Interrupted, StoreAway
from hpo.system import signals
from hpo.system.platforms import refuse_other_systems
from hpo.text.cleaning import clean


def command() -> int:
    """Runs the command. Returns its exit code; see `hpo.errors` for their meanings."""
    from hpo.text.console import escape_unprintable

    escape_unprintable()
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
        # A library may have turned the signal into an error of its own.
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signals.first()
        if number is not None:
            sys.stderr.write("interrupted\n")
            return signals.exit_code(number)
        if (message := database_failure(error)) is None:
            # A bug of hpo. Its traceback may quote a URL or an error of the user's code.
            sys.stderr.write(clean(traceback.format_exc()))
            return 1
        sys.stderr.write(f"{clean(message)}\n")
        return StoreAway.exit_code
    return 0


def database_failure(error: BaseException) -> str | None:
    """The message of a database that failed during a command; None for every other error."""
    # A library that was not imported cannot have failed.
    if "sqlalchemy" not in sys.modules:
        return None
    from hpo.storage.database import is_database_error, reason_of

    return f"a database failed: {reason_of(error)}; run the command again" if is_database_error(error) else None
