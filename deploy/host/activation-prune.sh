# Keeps the current and the previous release and the newest healthy ones; what failed takes no place.
old=$(cat "$RUN/$app.old")
previous=
if [ -n "$old" ]; then previous=$(readlink "$root/activations/$old/release"); previous=${previous##*/}; fi
for folder in "$root"/activations/*; do
  one=${folder##*/}
  [ "$one" = "$n" ] || [ "$one" = "$old" ] || rm -rf "$folder"
done
kept=0 venvs=
for file in $(ls -1r @{records}/"$app"); do
  case $file in *.new) rm -f @{records}/"$app/$file"; continue ;; esac
  record=@{records}/$app/$file
  if [ "$file" = @{release} ] || [ "$file" = "$previous" ]; then stays=1
  elif grep -q '^healthy ' "$record" && [ "$kept" -lt @{keep} ]; then stays=1
  else stays=
  fi
  if [ -n "$stays" ]; then
    kept=$((kept + 1)); venvs="$venvs $(sed -n 's/^venv //p' "$record") "
  else
    tree=$(printf %s "$root/releases/$file" | sha256sum)
    rm -rf "$root/releases/$file" "/var/lib/barehost/trees/${tree%% *}" "$record"
  fi
done
for folder in "$root"/venvs/*; do
  case $venvs in *" ${folder##*/} "*) ;; *) rm -rf "$folder" ;; esac
done
:
