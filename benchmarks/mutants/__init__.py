"""Mutants: single changes to the modules that users lean on most, and whether their tests notice."""
