"""Trees of files on this machine: what is read, digests, archives. Contacts no host."""
