"""The plan: an experiment and its search space that agree with each other, read from files or from a study."""
