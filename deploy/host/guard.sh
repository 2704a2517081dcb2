# A change that can lock people out: the old state is armed on the disk before it, and stays so until somebody has logged
# in anew (guard-confirm.sh). Part of an apply that is about nothing else; in its folder: guard.save, guard.restore (what
# is kept beside files), guard.revert (guard-revert.sh).
GUARD=$STATE/guard

arm() {
  rm -rf "$GUARD" && mkdir -m 700 "$GUARD" && export GUARD && (. "$RUN/guard.save") || fail 0
  cp "$RUN/guard.restore" "$GUARD/restore" && cp "$RUN/guard.revert" "$GUARD/revert" && cp "$RUN/about" "$GUARD/about" || fail 0
  cat > /etc/systemd/system/barehost-guard.service <<'UNIT' || fail 0
[Unit]
Description=Barehost: put back what nobody has confirmed before the host went down
DefaultDependencies=no
RequiresMountsFor=/var/lib/barehost /etc
After=local-fs.target
Before=sysinit.target network-pre.target ssh.service sshd.service ssh.socket nftables.service networking.service
Before=barehost-firewall.service systemd-networkd.service
ConditionPathExists=/var/lib/barehost/guard/armed
[Service]
Type=oneshot
ExecStart=/bin/sh /var/lib/barehost/guard/revert boot
[Install]
WantedBy=sysinit.target
UNIT
  systemctl daemon-reload && systemctl -q enable barehost-guard.service || fail 0
  printf '%s\n' "$NONCE" > "$GUARD/armed" && sync -f "$GUARD" && sync -f /etc/systemd/system && fuse 30 || fail 0
}

fuse() { # seconds: the host puts the old state back by itself then
  systemctl stop barehost-guard-fuse.timer 2>/dev/null
  systemd-run -q --collect --unit=barehost-guard-fuse --on-active="$1" --timer-property=AccuracySec=100ms \
    --description="Barehost: put back what nobody has confirmed" /bin/sh "$GUARD/revert"
}

# The change is made: whoever logs in from now on shows that people can.
hold() {
  fuse 25 || fail 0
  sleep 2 # what was told to read its files anew has done so by then: a login before that would show nothing
  read -r up rest < /proc/uptime && printf '%s\n' "$up" > "$GUARD/held" || fail 0
  finish held
}
