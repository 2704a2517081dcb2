# units PATTERN: the units that systemd has loaded; none where no systemd runs.
units() {
  [ -d /run/systemd/system ] || return 0
  loaded=$(systemctl list-units --plain --no-legend --no-pager --all "$1") || return
  printf '%s\n' "$loaded" | while read -r name rest; do echo "$name"; done
}
