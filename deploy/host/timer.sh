# One run of a timer's command, in the activation that serves at this moment: it is found once, so that a switch
# meanwhile changes nothing beneath the command. This ends when the command does, and as it does.
# in: $1 site, $2 timer
running=$(systemctl list-units --plain --no-legend --no-pager --state=active,activating,deactivating "$1-$2@*.service") ||
  exit
if [ -n "$running" ]; then echo "$1-$2 still runs since the last time; left out"; exit 0; fi
n=$(readlink "/srv/$1/current") && exec systemctl start "$1-$2@${n##*/}.service"
