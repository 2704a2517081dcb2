"""YAML with marks, and models that name file, line and key. Knows no host and no site."""
