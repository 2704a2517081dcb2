"""A site as a value: names, processes, server, data, limits. Reads no file, contacts no host."""
