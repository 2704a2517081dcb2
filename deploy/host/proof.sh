# The release that serves must answer through Nginx, whose files have changed; only then is it recorded with which.
# Input: app; port, scheme, name, path, status, doors, what is asked; named, key of the inventory and file in the release
# in turns; seconds; configuration, the digest; proven, the folder of records; ask, the program.
set -u
app=@{app}; root=/srv/$app; log=/var/log/nginx/$app.error.log
n=$(readlink "$root/current") && n=${n##*/} && release=$(readlink "$root/activations/$n/release") || {
  echo "$app serves no release that could be asked"
  exit 1
}
set -- @{named}
while [ $# -gt 0 ]; do
  [ -f "$release/$2" ] || {
    echo "the release that serves has no file $2, which $1: in the inventory names; mend it there, or ship a release that" \
      "has it (invoke release)"
    exit 1
  }
  shift 2
done
clock() { read -r now rest < /proc/uptime && now=${now%.*}; }
size=$(stat -c %s "$log" 2>/dev/null) || size=0
clock; end=$((now + @{seconds}))
while :; do
  answer=$(timeout 15 /usr/bin/python3 -I -S - @{port} @{scheme} @{name} @{path} @{status} "${release##*/}" "$n" @{doors} 2>&1 <<'ASK'
@{ask}
ASK
  ) && break
  clock; [ "$now" -lt "$end" ] || {
    tail -c +"$((size + 1))" "$log" 2>/dev/null | tail -n 5
    echo "through Nginx: $answer"
    exit 1
  }
  sleep 0.05
done
mkdir -p -m 700 @{proven} && printf '%s\n' @{configuration} > @{proven}/"$app.new" && mv -f @{proven}/"$app.new" @{proven}/"$app"
