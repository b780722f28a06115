"""The commands: their table, and everything that they print."""
