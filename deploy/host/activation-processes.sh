# The processes beside the web process, started when that is proven. One that ends within its first seconds fails the
# whole. Of some only one may run: an old one stops before the new one starts, and is waited for.
# in: alone (their units, as hello-beat@.service), stopping (seconds that they may take), settle (the first seconds)
fails() { # UNIT REASON
  unit=$1
  journal
  echo "$unit $2"
  [ ! -e "$RUN/$app.old" ] || record failed
  go_back
}
: > "$RUN/$app.alone"
set --
for one in @{alone}; do
  for other in $(units "${one%@*}@*.service"); do
    [ "$other" != "${one%@*}@$n.service" ] || continue
    case $(systemctl show --value -p ActiveState -- "$other") in
      inactive | failed) continue ;;
      deactivating) ;;
      *) echo "$other" >> "$RUN/$app.alone" ;;
    esac
    set -- "$@" "$other"
  done
done
if [ $# -gt 0 ]; then
  timeout @{stopping} systemctl stop -- "$@" || {
    echo "$* did not end within @{stopping} s, and a second one beside it must not run"
    [ ! -e "$RUN/$app.old" ] || record failed
    go_back
  }
fi
clock; echo "$seconds" > "$RUN/$app.started"
set --
for one in $(processes_of "$n"); do set -- "$@" "$one"; done
systemctl reset-failed -- "$@" 2>/dev/null
systemctl start -- "$@"
clock; end=$((seconds + @{settle}))
before=
while :; do
  count=$(systemctl show -p Id,ActiveState,NRestarts,Result,ExecMainStatus -- "$@") || exit
  now=' '
  while IFS='=' read -r key value; do
    case $key in
      Id) one=$value ;;
      NRestarts) restarts=$value ;;
      Result) result=$value ;;
      ExecMainStatus) status=$value ;;
      ActiveState) state=$value ;;
      '')
        [ "$state" = active ] || fails "$one" "did not stay up: $result, exit code $status"
        case $before in
          '' | *" $one:$restarts "*) now="$now$one:$restarts " ;;
          *) fails "$one" "did not stay up: it ended and was started again" ;;
        esac ;;
    esac
  done <<shown
$count

shown
  before=$now
  clock; [ "$seconds" -lt "$end" ] || break
  sleep 0.2
done
