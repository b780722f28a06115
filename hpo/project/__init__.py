"""`hpo init`: a small project to begin with, an experiment and a search space that fit the user's data and model."""
