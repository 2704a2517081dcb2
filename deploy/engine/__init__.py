"""One host: look, plan, apply, look again. Knows no kind of resource, no site and no SSH; prints nothing."""
