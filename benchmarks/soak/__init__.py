"""Studies that are killed at random moments and resumed, and what their stores look like after each kill."""
