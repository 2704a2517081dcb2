# Keeps the current and the previous release and the newest healthy ones; what failed takes no place.
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
rm -rf "$root/.gone" || exit
read -r old < "$RUN/$app.old"
previous=
if [ -n "$old" ]; then previous=$(readlink "$root/activations/$old/release"); previous=${previous##*/}; fi
for folder in "$root"/activations/* "$root"/activations/.new; do
  one=${folder##*/}
  [ "$one" = "$n" ] || [ "$one" = "$old" ] || gone "$folder"
done
kept=0 releases=' ' venvs=' '
for file in $(ls -1r @{records}/"$app"); do
  record=@{records}/$app/$file healthy= venv=
  while read -r key value; do
    case $key in healthy) healthy=1 ;; venv) venv=$value ;; esac
  done < "$record"
  if [ "$file" = @{release} ] || [ "$file" = "$previous" ]; then stays=1
  elif [ -n "$healthy" ] && [ -d "$root/releases/$file" ] && [ "$kept" -lt @{keep} ]; then stays=1
  else stays=
  fi
  if [ -n "$stays" ]; then
    kept=$((kept + 1)); releases="$releases$file "; venvs="$venvs$venv "
  else
    rm -f "$record" || exit
  fi
done
for folder in "$root"/releases/* "$root"/releases/.barehost-*; do
  case $releases in *" ${folder##*/} "*) continue ;; esac
  tree=$(printf %s "$folder" | sha256sum)
  gone "$folder" && rm -rf "/var/lib/barehost/trees/${tree%% *}" "/var/lib/barehost/trees/${tree%% *}.new"
done
for folder in "$root"/venvs/*; do
  case $venvs in *" ${folder##*/} "*) ;; *) gone "$folder" ;; esac
done
