"""The report of studies: one self-contained page, or a short Markdown text. `page` shows how it is made."""
