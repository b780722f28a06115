"""Exports a trial as a configuration, a model, a script or a registered model; retrains it, and predicts with it."""
