"""Output that nobody reads: it is dropped, and the work goes on."""

import select
import subprocess
import sys

import pytest

CODE = """
import os, sys
from hpo.system.closed_pipes import survive_closed_pipes
survive_closed_pipes()
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
print("first", flush=True)
for number in range(20_000):
    print("more", flush=True)
print("more", file=sys.stderr)
os.write(1, b"native")
os.write(file, b"done")
"""


@pytest.mark.parametrize("redirection", ["| head -1", "2>&1 >/dev/null | true", ">&-", "2>&- <&-"])
def test_work_outlives_its_readers(redirection, tmp_path):
    command = f'"$0" -c "$1" "$2" {redirection}; echo "=${{PIPESTATUS[0]}}"'
    told = subprocess.run(
        ["bash", "-c", command, sys.executable, CODE, str(tmp_path / "file")],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told.stdout.endswith("=0\n"), told.stderr
    assert told.stderr in ("", "more\n")
    # Nothing that was printed went into a file that was opened afterwards.
    assert (tmp_path / "file").read_text() == "done"


def test_a_stream_that_keeps_nothing_back_stays_so():
    code = "from hpo.system.closed_pipes import survive_closed_pipes; survive_closed_pipes(); print('at once'); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0], "nothing was said before the process ended"
        assert process.stdout.readline() == "at once\n"
        process.communicate("\n")
