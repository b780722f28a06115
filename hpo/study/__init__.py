"""A study and its trials: what is recorded of them in Optuna, proposed by its samplers, and read back."""
