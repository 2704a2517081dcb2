# A folder of its own for the next activation, renamed into place when it is whole; then its units, which are files
# in /etc: systemd reads them before anything but / is mounted. A unit that it has not read yet needs no daemon-reload.
#
# Numbers are never used twice, also where somebody removed activations: the journal, a process that still runs and
# the marks of answers go by them.
code=$root/releases/@{release}
set -- @{folders} # URL and folder in the release of what Nginx serves
while [ $# -gt 0 ]; do
  [ -d "$code/$2" ] || {
    echo "the release has no folder $2, from which $1 is to be served; mend static: in the inventory, or ship a" \
      "release that has it (invoke release)"
    exit 1
  }
  shift 2
done
set -- @{named} # key of the inventory and file in the release
while [ $# -gt 0 ]; do
  [ -f "$code/$2" ] || {
    echo "the release has no file $2, which $1: in the inventory names; mend it there, or ship a release that has it" \
      "(invoke release)"
    exit 1
  }
  shift 2
done
mkdir -p "$root/activations" && mkdir -p -m 700 @{numbers} || exit
n=0
if [ -s @{numbers}/"$app" ]; then read -r n < @{numbers}/"$app"; fi
for one in "$root"/activations/* "$etc/$app"@*.service $(units "$app@*.service"); do
  one=${one##*/}; one=${one#"$app@"}; one=${one%.service}
  case $one in '' | *[!0-9]*) continue ;; esac
  [ "$one" -le "$n" ] || n=$one
done
n=$((n + 1)); of "$n"
echo "$n" > @{numbers}/"$app.new" && sync @{numbers}/"$app.new" && mv -f @{numbers}/"$app.new" @{numbers}/"$app" || exit
new=$root/activations/.new
rm -rf "$new"
umask 027
mkdir -p "$new/www" && cd "$new" || exit
tar -xpzf "$UPLOAD/activation-$app" --no-same-owner && ln -s "$socket" app.sock || exit
umask 077
if [ ! -e env ]; then # the environment that this release ran with last, else that of the one that serves
  from=
  for one in "$root"/activations/*; do
    case ${one##*/} in *[!0-9]*) continue ;; esac
    [ "$(readlink "$one/release")" = "$code" ] && [ -f "$one/env" ] && grep -q '^proven ' "$one/record" || continue
    [ "${one##*/}" -lt "${from:-0}" ] || from=${one##*/}
  done
  if [ -n "$from" ]; then from=$root/activations/$from; else from=$root/current; fi
  # with the places of this release where it names those of that one
  packages=$root/venvs/@{venv}
  sed "s|$(readlink "$from/release")|$code|g; s|$(readlink "$from/venv")|$packages|g" < "$from/env" > ./env || exit
fi
echo "renewed "@{renewed} > record && chown -hR "root:$app" . && chown -R root:root env record units || exit
for folder in jobs timers; do [ ! -d "$folder" ] || chown -R root:root "$folder" || exit; done
sync -f . && mv -T "$new" "$here" || exit
for file in "$here/units"/* "$here/jobs"/*; do
  [ -f "$file" ] || continue
  one=${file##*/}; one=$etc/${one%@*}@$n.${one##*.}
  cp "$file" "$one" && chmod 644 "$one" && sync "$one" || exit
done
sync "$etc" && echo "$n" > "$RUN/$app.n" || exit
