# One transaction of apt. Input: arguments (of apt-get install), downgrades (the word that allows them, or nothing).
# Needs what package-masks.sh, apt-locks.sh and apt-index.sh define; keeps what apt prints in $RUN/apt.log.
if [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] ||
  grep -qE '^Status: .* (half-configured|unpacked|triggers-awaited|triggers-pending)$' /var/lib/dpkg/status
then
  echo 'finishing what an interrupted dpkg left half done'
  dpkg --configure -a --force-confdef --force-confold </dev/null ||
    echo 'dpkg --configure -a failed; apt may still mend it' >&2
fi
# What a package starts may hold apt's output open for ever: so it goes to a file, which is followed until apt ends.
install() {
  rc=0
  : > "$RUN/apt.log"
  apt-get install -y -q --no-install-recommends @{downgrades} \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 \
    -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o APT::Get::Fix-Broken=true \
    -- "$@" </dev/null > "$RUN/apt.log" 2>&1 &
  apt=$!
  tail -n +1 -s 0.1 -f --pid="$apt" -- "$RUN/apt.log"
  wait "$apt" || rc=$?
  return "$rc"
}
unknown() {
  grep -qE -e '^E: (Unable to locate package|Package .* has no installation)' \
    -e '^E: (Version .* was not found|Failed to fetch .* 404 )' "$RUN/apt.log"
}
if install @{arguments}; then exit 0; fi
if [ -z "$refreshed" ] && unknown; then
  echo 'the index may be out of date: refreshing it'
  update
  if install @{arguments}; then exit 0; fi
fi
missing=$(sed -n -e "s/^E: Unable to locate package //p" \
  -e "s/^E: Package '\(.*\)' has no installation.*/\1/p" \
  -e "s/^E: Version '\(.*\)' for '\(.*\)' was not found/\2=\1/p" "$RUN/apt.log" | tr '\n' ' ')
if [ -n "$missing" ] && grep -q 'is a virtual package provided by' "$RUN/apt.log"; then
  fail "${missing% } cannot be installed as named: name one of the packages that apt lists above as providing it"
fi
if [ -n "$missing" ]; then
  fail "apt on this host knows no package ${missing% }$outdated: check the name, and the sources in /etc/apt"
fi
fail "apt-get install failed with exit code $rc$outdated: its own lines above say why"
