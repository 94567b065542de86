"""Names of organisms: cleaned labels, lineages, the tree they form, and how they read as words."""
