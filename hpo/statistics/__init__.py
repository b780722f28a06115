"""The statistics of a choice: which of the finalists is best, and how sure that is."""
