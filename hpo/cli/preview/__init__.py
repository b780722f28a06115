"""Shows what an experiment would run, and its data, before anything is trained."""
