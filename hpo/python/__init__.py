"""hpo in a notebook or a script: functions instead of files, and a study as an object."""
