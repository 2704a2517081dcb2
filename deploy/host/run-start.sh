# Unpacks what was sent and starts it as a unit of its own; what it tidies up meanwhile can wait.
# In: run (the folder of the apply), unit, uploads (names of what came beside the bundle), tidy (a script).
run=@{run}
mkdir -p -m 700 /var/lib/barehost /var/lib/barehost/runs /var/lib/barehost/loaded "$run" "$run/upload" &&
tar -xzf "$SESSION/bundle" -C "$run" || exit
for name in @{uploads}; do mv "$SESSION/$name" "$run/upload/$name" || exit; done
: > "$run/log"
systemd-run -q --collect --unit=@{unit} -p Description="Barehost apply" -p TimeoutStopSec=60 \
  /bin/sh "$run/program" || exit
nice -n 19 sh -c @{tidy} >/dev/null 2>&1 &
left=1000; until read -r pid 2>/dev/null < "$run/pid" || [ "$((left -= 1))" = 0 ]; do sleep 0.002; done
