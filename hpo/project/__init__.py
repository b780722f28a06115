"""Help to write the files: `hpo init`, the JSON Schemas for editors, and the keys that `hpo explain` shows."""
