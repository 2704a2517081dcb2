"""What the user wrote: hosts, groups, variables, in Ansible's layout. Contacts no host, prints nothing."""
