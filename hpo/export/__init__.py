"""What leaves a study: a configuration, a model, a script, and what can be done with each."""
