"""What the forkserver imports once, so that each new worker has it: TensorFlow, imported but never run.

A fork after TensorFlow ran an operation deadlocks, since its threads do not follow; imports alone start none.
"""

import gc
import os

# TensorFlow greets on stderr as it is imported, before any setting of its own can quieten it. Should the import
# fail, each worker meets the same error, and logs it.
_stderr = os.dup(2)
_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import hpo.engines.worker
    import hpo.training.process
    import hpo.training.trial  # noqa: F401 - imported for the workers
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)

# Each trial begins with a garbage collection. What was imported stays anyway, and looking through it would take
# 0.2 s a trial, and a copy of each page that the workers share.
gc.freeze()
