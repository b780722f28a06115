"""A study and its trials: how Optuna's samplers propose them, how they are recorded, and how they are read back."""
