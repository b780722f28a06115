"""What users write: the experiment file, the search space file, and every mistake in them."""
