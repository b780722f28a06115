"""Confirming: trains the finalists again over fresh seeds, and chooses the one to use."""
