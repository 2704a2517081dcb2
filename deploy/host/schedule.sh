# Whether this host's systemd understands a timer's schedule: "accepted", or what it says against it.
# in: unit (the timer's file), calendars (its OnCalendar= lines)
known=' '
if [ -f @{unit} ]; then
  while IFS= read -r line; do
    case $line in OnCalendar=*) known="$known${line#OnCalendar=} " ;; esac
  done < @{unit}
fi
said=accepted
set -- @{calendars}
for calendar; do
  case $known in *" $calendar "*) continue ;; esac
  command -v systemd-analyze >/dev/null || continue
  wrong=$(systemd-analyze calendar "$calendar" 2>&1 >/dev/null) || { said=$wrong; break; }
done
printf '%s\n' "$said" | head -n 1
