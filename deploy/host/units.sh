# units APP OPTION: a site's instances that systemd has loaded.
units() {
  systemctl list-units --plain --no-legend --no-pager "$2" "$1@*.service" | while read -r name rest; do
    echo "$name"
  done
}
