"""The door: commands, options and output."""
