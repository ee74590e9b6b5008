"""Commands: which program one names, and running it to its end."""
