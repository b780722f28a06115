"""`hpo explain`: what a key of the files means, from the schemas, without TensorFlow and MLflow."""
