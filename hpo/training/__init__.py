"""One trial: a Keras model, trained epoch by epoch. Knows neither Optuna nor MLflow."""
