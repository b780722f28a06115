"""The imports of the forkserver, which each new worker inherits: TensorFlow, imported but never run.

A process forked after TensorFlow has run an operation deadlocks, since it lacks TensorFlow's threads. Imports alone
start no threads.
"""

import gc
import os

from hpo.engines.process_exit import COORDINATOR, become_server, leave_with
from hpo.system.tensorflow_import import without_import_messages

# This comes before the imports, which take seconds: if the coordinator is killed meanwhile, the server must end too.
if os.environ.get(COORDINATOR):
    leave_with(int(os.environ[COORDINATOR]))
become_server()

# Imports make millions of objects that stay: to search them for garbage meanwhile takes a sixth of the time.
gc.disable()
# If the import fails, each worker gets the same error, and logs it.
try:
    with without_import_messages():
        import hpo.engines.worker
        import hpo.training.process
        import hpo.training.trial  # noqa: F401 - imported for the workers
finally:
    gc.enable()

# Each trial ends with a garbage collection. Imported objects stay anyway. Searching them would take 0.2 s a trial, and
# would copy each memory page that the workers share.
gc.freeze()
