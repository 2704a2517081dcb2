"""Templates and literals: text for a host's files. Reads templates, contacts no host."""
