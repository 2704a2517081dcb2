# Run by a session that was opened after a guarded change: what it shows is that people can log in. The old state goes.
# Prints "confirmed"; "early" while the change is still being made, or where this login is older than it; "gone" where
# nothing is armed (any more).
STATE=/var/lib/barehost GUARD=/var/lib/barehost/guard
mkdir -p -m 700 /run/barehost && exec 7>>/run/barehost/guard.lock && flock -w 20 7 || exit
[ -e "$GUARD/armed" ] || { echo gone; exit 0; }
[ -e "$GUARD/held" ] || { echo early; exit 0; }
read -r held < "$GUARD/held"
# The nearest sshd above this session was started by its login.
one=$LOOP login=
while [ "$one" -gt 1 ]; do
  stat=$(cat "/proc/$one/stat") || exit
  name=${stat#*\(}; name=${name%)*}
  rest=${stat##*) }
  case $name in sshd*) login=$(echo "$rest" | cut -d' ' -f20); break ;; esac
  one=$(echo "$rest" | cut -d' ' -f2)
done
ticks=$(getconf CLK_TCK)
held=${held%.*}${held#*.} # in hundredths of a second
[ -n "$login" ] && [ "$((login * 100 / ticks))" -ge "$held" ] || { echo early; exit 0; }
systemctl stop barehost-guard-fuse.timer 2>/dev/null
rm -f "$GUARD/armed" && sync -f "$STATE" || exit
if [ -e "$STATE/undo" ]; then
  rm -f "$STATE/undo" && sync -f "$STATE" && (. "$STATE/sweep") && rm -rf "$STATE/kept" && rm -f "$STATE/sweep" || exit
fi
systemctl -q disable barehost-guard.service 2>/dev/null
rm -f /etc/systemd/system/barehost-guard.service
systemctl daemon-reload
read -r about < "$GUARD/about"
printf '%s confirmed by a login after it: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$about" >> /var/log/barehost.log
rm -rf "$GUARD"
echo confirmed
