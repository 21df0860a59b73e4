"""Generates text: a recurrent language model, mixed with the counting that could shame it."""
