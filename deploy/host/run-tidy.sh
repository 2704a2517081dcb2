# Keeps the folders of the last twenty runs, and nothing that a run or a session brought that was killed: there are
# secrets among it.
set -- /var/lib/barehost/runs/*
while [ $# -gt 20 ]; do rm -rf "$1"; shift; done
find /var/lib/barehost/runs -mindepth 2 -maxdepth 2 -type d -mmin +60 -exec rm -rf {} +
for past in /run/barehost/sessions/*; do
  if read -r loop 2>/dev/null < "$past/loop" && [ ! -d "/proc/$loop" ]; then rm -rf "$past"; fi
done
for past in /var/lib/barehost/sessions/*; do
  [ -d "/run/barehost/sessions/${past##*/}" ] || rm -rf "$past"
done
