# Starts a process of what serves anew, one of its copies after the other: each ends as its unit says, and the new one
# must stay up.
# in: app, process, settle (seconds that it must stay up)
n=$(readlink "/srv/"@{app}/current) && n=${n##*/} || { echo @{app} "has no release here"; exit 1; }
found=
for file in "/srv/"@{app}"/activations/$n/units/"*; do
  case ${file##*/} in @{app}-@{process}@.service | @{app}-@{process}.[0-9]*@.service) ;; *) continue ;; esac
  found=1 unit=${file##*/}; unit=${unit%@*}@$n.service
  systemctl restart "$unit" || { journalctl -u "$unit" -n 40 --no-pager -o cat; echo "$unit did not start"; exit 1; }
  before=$(systemctl show -p ActiveState,NRestarts "$unit")
  read -r began rest < /proc/uptime
  while read -r now rest < /proc/uptime && [ "$((${now%.*} - ${began%.*}))" -lt @{settle} ]; do
    [ "$(systemctl show -p ActiveState,NRestarts "$unit")" = "$before" ] || {
      journalctl -u "$unit" -n 40 --no-pager -o cat
      echo "$unit did not stay up"
      exit 1
    }
    sleep 0.2
  done
  echo "$unit was started anew"
done
[ -n "$found" ] || { echo @{app} "runs no process "@{process}" here"; exit 1; }
