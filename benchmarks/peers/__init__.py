"""The standard job by hpo and by its peers, each as its own documentation recommends."""
