"""What the forkserver imports once, so that each new worker has it: TensorFlow, imported but never run.

A fork after TensorFlow ran an operation deadlocks, since its threads do not follow; imports alone start none.
"""

import gc
import os

from hpo.engines.process_exit import COORDINATOR, become_server, leave_with
from hpo.system.tensorflow_import import without_import_messages

# Before the imports, which take seconds: should the coordinator be killed meanwhile, nobody else would end them.
if os.environ.get(COORDINATOR):
    leave_with(int(os.environ[COORDINATOR]))
become_server()

# Should the import fail, each worker meets the same error, and logs it.
with without_import_messages():
    import hpo.engines.worker
    import hpo.training.process
    import hpo.training.trial  # noqa: F401 - imported for the workers

# Each trial begins with a garbage collection. What was imported stays anyway, and looking through it would take
# 0.2 s a trial, and a copy of each page that the workers share.
gc.freeze()
