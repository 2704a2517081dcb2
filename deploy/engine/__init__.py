"""One host: look, plan, apply, look again. Knows no kind of resource and no SSH; prints nothing."""
