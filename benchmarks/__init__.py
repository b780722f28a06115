"""Side-by-side measurements of hpo and its peers; see README.md."""
