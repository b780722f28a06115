"""Confirming: the finalists again over fresh seeds, and which of them to use."""
