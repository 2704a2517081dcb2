# Keeps the current and the previous activation and the newest healthy releases; what failed takes no place.
# A record goes before what it describes, and what no record describes goes too: a prune that was cut off leaves
# nothing that somebody could go back to, and nothing for good.
# Whoever goes to rescue mode and back needs systemd to have read what the switch enabled and disabled. That takes a
# processor a tenth of a second, which no release has to wait for. The timer is the site's own: several may switch in one run.
systemd-run -q --collect --unit="reread-barehost-${RUN##*/}-$app" --on-active=5 --timer-property=AccuracySec=1 \
  systemctl daemon-reload || exit
gone() { # folders: each leaves its name at once and its place when it can
  for folder; do
    if [ -e "$folder" ]; then mv -T "$folder" "$root/.gone" && rm -rf "$root/.gone" || exit; fi
  done
}
rm -rf "$root/.gone" "$root/activations/.new" || exit
read -r old < "$RUN/$app.old"
# What runs keeps its units, without which systemd would stop it otherwise than they say, and all that it reads.
kept=0 releases=' ' venvs=' '
for folder in "$root"/activations/*; do
  one=${folder##*/}
  if [ "$one" = "$n" ] || [ "$one" = "$old" ] || runs "$one"; then
    release=$(readlink "$folder/release"); releases="$releases${release##*/} "
    venv=$(readlink "$folder/venv"); venvs="$venvs${venv##*/} "
  else
    for unit in $(units_of "$one") $(jobs_of "$one"); do rm -f "$wants/$unit" "$etc/$unit" || exit; done
    gone "$folder"
  fi
done
for file in "$etc/$app"@*.service; do # of an activation whose folder somebody removed
  one=${file##*@}; one=${one%.service}
  [ "$one" = '*' ] || [ -d "$root/activations/$one" ] || runs "$one" || rm -f "$wants/${file##*/}" "$file" || exit
done
for file in $(ls -1r @{records}/"$app"); do
  record=@{records}/$app/$file healthy= venv=
  while read -r key value; do
    case $key in healthy) healthy=1 ;; venv) venv=$value ;; esac
  done < "$record"
  case $releases in
    *" $file "*) stays=1 ;;
    *) stays=; if [ -n "$healthy" ] && [ -d "$root/releases/$file" ] && [ "$kept" -lt @{keep} ]; then stays=1; fi ;;
  esac
  if [ -n "$stays" ]; then
    kept=$((kept + 1)); releases="$releases$file "; venvs="$venvs$venv "
  else
    rm -f "$record" || exit
  fi
done
for folder in "$root"/releases/* "$root"/releases/.barehost-*; do
  case $releases in *" ${folder##*/} "*) continue ;; esac
  tree=$(printf %s "$folder" | sha256sum); tree=/var/lib/barehost/trees/${tree%% *}
  case ${folder##*/} in .barehost-*) ;; *) [ -e "$tree" ] || [ -e "$tree.new" ] || continue ;; esac # nobody's of ours
  gone "$folder" && rm -rf "$tree" "$tree.new"
done
for folder in "$root"/venvs/*; do
  case $venvs in *" ${folder##*/} "*) ;; *) gone "$folder" ;; esac
done
layers=' ' # images by the name of their folder among the venvs; a layer stays as long as an image is made of it
for folder in "$root"/images/*; do
  [ "$folder" != "$root/images/*" ] || break
  case $venvs in
    *" image-${folder##*/} "*) if read -r list < "$root/venvs/image-${folder##*/}/layers"; then layers="$layers$list "; fi ;;
    *) gone "$folder" ;;
  esac
done
for layer in "$root"/images/.layers/*; do
  case $layers in *" ${layer##*/} "*) ;; *) rm -f "$layer" ;; esac
done
