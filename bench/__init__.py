"""Measures Barehost: beside its peers (python -m bench), under visitors, under slow clients. Not in the wheel."""
