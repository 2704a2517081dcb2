"""The kinds of resource, one file a kind."""
