"""Barehost: looks at a host once, plans exactly, applies as one transaction."""
