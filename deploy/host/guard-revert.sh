# Puts the old state back where nobody has confirmed the new one: by a timer, or at boot before anything that reads it.
# In: "boot" as $1 at boot, when services have not begun, so none is told to load anything.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
STATE=/var/lib/barehost GUARD=/var/lib/barehost/guard when=${1-}
set --
mkdir -p -m 700 /run/barehost && exec 7>>/run/barehost/guard.lock && flock 7 || exit
[ -e "$GUARD/armed" ] || exit 0
if [ "$when" = boot ]; then
  systemctl() { case $1 in daemon-reload) command systemctl daemon-reload ;; esac; }
fi
[ ! -e "$STATE/undo" ] || (. "$STATE/undo") || { echo "some files could not be put back yet"; exit 1; }
[ "$when" = boot ] || (. "$GUARD/restore") || echo "not all could be put back"
rm -f "$STATE/undo" && sync -f "$STATE"
[ ! -e "$STATE/sweep" ] || (. "$STATE/sweep")
rm -rf "$STATE/kept"
rm -f "$STATE/sweep" "$GUARD/armed" /etc/systemd/system/barehost-guard.service \
  /etc/systemd/system/sysinit.target.wants/barehost-guard.service
read -r about < "$GUARD/about"
printf '%s reverted, nobody had logged in after it%s: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${when:+ and the host went down}" \
  "$about" >> /var/log/barehost.log
rm -rf "$GUARD"
sync -f "$STATE"
