"""The database of studies: Optuna's tables, written in batches, locked, and waited for."""
