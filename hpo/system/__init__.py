"""The operating system: files, folders, signals, imports, versions."""
