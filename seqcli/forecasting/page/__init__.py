"""One self-contained page of a journal: words, drawings, tables."""
