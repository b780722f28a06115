"""The report of studies: one self-contained page, or a short Markdown text. `page` is the way through it."""
