"""Text for people: values, tables and URLs, without credentials and without control characters."""
