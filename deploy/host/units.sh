# units APP OPTION: a site's instances that systemd has loaded; none where no systemd runs.
units() {
  [ -d /run/systemd/system ] || return 0
  loaded=$(systemctl list-units --plain --no-legend --no-pager "$2" "$1@*.service") || return
  printf '%s\n' "$loaded" | while read -r name rest; do echo "$name"; done
}
