# Says what is not well on this host, a line each: a word for the kind, a tab, a sentence. Nothing: all is well.
# In: nothing; reads what systemd, the disks and Barehost's own state say, and changes nothing.
say() { printf '%s\t%s\n' "$1" "$2"; }
now=$(date +%s)

systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null | while read -r unit rest; do
  [ -z "$unit" ] || say unit "$unit has failed: systemctl status $unit"
done

df -P -k -x tmpfs -x devtmpfs -x overlay -x squashfs 2>/dev/null | tail -n +2 | while read -r device size used free percent place; do
  [ "${percent%\%}" -lt 90 ] 2>/dev/null || say disk "$place is $percent full"
done
[ "$(df -P -k / | awk 'END { sub("%", "", $5); print $5 }')" -lt 90 ] || say disk "/ is $(df -P -k / | awk 'END { print $5 }') full"

for about in /var/lib/barehost/tls/*/about; do
  [ -e "$about" ] || continue
  site=${about%/about}; site=${site##*/}
  start=$(sed -n 's/^start=//p' "$about") end=$(sed -n 's/^end=//p' "$about")
  left=$((end - now))
  # renewal begins at a third: at a sixth it has failed for long
  if [ "$left" -le 0 ]; then say certificate "the certificate of $site has expired"
  elif [ "$left" -lt $(((end - start) / 6)) ]; then
    say certificate "the certificate of $site is good for $((left / 86400)) days and has not been renewed: $(
      sed -n 's/^reason=//p' "${about%about}failed" 2>/dev/null)"
  fi
done
for failed in /var/lib/barehost/tls/*/failed; do
  [ -e "$failed" ] && [ ! -e "${failed%failed}about" ] || continue
  site=${failed%/failed}; site=${site##*/}
  say certificate "$site has no certificate: $(sed -n 's/^reason=//p' "$failed")"
done

for standing in /var/lib/barehost/backups/*/standing; do
  [ -e "$standing" ] || continue
  { read -r until; read -r wrong; } < "$standing"
  site=${standing%/standing}; site=${site##*/}
  if [ -n "$wrong" ]; then say backup "$site: $wrong"
  elif [ "$now" -gt "$until" ]; then say backup "$site: the newest backup is too old: journalctl -u barehost-backup-$site"; fi
done

for current in /srv/*/current; do
  n=$(readlink "$current") || continue
  app=${current%/current}; app=${app##*/}
  main=$(systemctl show --value -p MainPID -- "$app@${n##*/}.service" 2>/dev/null)
  if [ "${main:-0}" != 0 ] && grep -qE ' /(usr/)?lib.*\.so[^ ]* \(deleted\)$' "/proc/$main/maps" 2>/dev/null; then
    say libraries "$app runs on libraries that an update has replaced: invoke provision switches to the new ones"
  fi
done

[ ! -e /var/lib/barehost/guard/armed ] || say unfinished "a change waits for somebody to log in, else it goes back"
[ ! -e /run/reboot-required ] || say reboot "an update waits for a reboot: $(tr '\n' ' ' < /run/reboot-required.pkgs 2>/dev/null)"

if [ -e /etc/barehost/firewall.nft ]; then
  if [ "$(nft -n -s -t list table inet barehost 2>/dev/null | sha256sum | cut -d' ' -f1)" != \
    "$(sed -n 2p /var/lib/barehost/firewall/barehost 2>/dev/null)" ]; then
    say firewall "the firewall's rules are not those that Barehost has loaded"
  fi
fi
