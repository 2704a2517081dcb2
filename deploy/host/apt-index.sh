# Refreshes the index of packages where it is older than the sources, or than minutes. Defines update(), for later.
stamp=/var/lib/barehost/apt-updated
refreshed= outdated=
stale() {
  [ -e "$stamp" ] || return 0
  [ -n "$(find "$stamp" -mmin +@{minutes})" ] && return 0
  [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -print -quit)" ] && return 0
  [ -n "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer "$stamp" -print 2>/dev/null)" ]
}
update() {
  refreshed=1
  if apt-get update -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none -o Acquire::PDiffs=false \
    -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120 </dev/null
  then
    mkdir -p /var/lib/barehost && chmod 700 /var/lib/barehost && : > "$stamp"
  else
    outdated=', and its index could not be refreshed'
    echo 'the package index could not be refreshed; going on with what is known' >&2
  fi
}
if stale; then update; fi
