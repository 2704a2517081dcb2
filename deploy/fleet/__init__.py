"""Many hosts: side by side, in batches, on a cluster. Prints nothing and knows no site's server."""
