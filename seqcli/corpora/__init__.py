"""Published corpora and folders of files as labelled records."""
