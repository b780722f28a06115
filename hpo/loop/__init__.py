"""The loop of a study: the coordinator, the jobs that it hands out, and the observers that follow each trial."""
