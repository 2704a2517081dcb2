# units APP OPTION: a site's instances that systemd has loaded.
units() {
  loaded=$(systemctl list-units --plain --no-legend --no-pager "$2" "$1@*.service") || return
  printf '%s\n' "$loaded" | while read -r name rest; do echo "$name"; done
}
