"""Uses past trials again: extends studies, warm-starts them, reads KerasTuner projects, logs studies again."""
