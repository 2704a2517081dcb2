# A folder of its own for the next activation, renamed into place when it is whole.
mkdir -p "$root/activations" || exit
n=0
for folder in "$root"/activations/*; do
  one=${folder##*/}
  case $one in *[!0-9]*) continue ;; esac
  [ "$one" -gt "$n" ] && n=$one
done
n=$((n + 1)); of "$n"
rm -rf "$root/activations/.new"
umask 027
mkdir -p "$root/activations/.new/www" && cd "$root/activations/.new" || exit
tar -xpzf "$UPLOAD/activation-$app" --no-same-owner && ln -s "$socket" gunicorn.sock || exit
umask 077
printf 'unit %s\nrenewed %s\n' @{unit} @{renewed} > record && chown -hR "root:$app" . && chown root:root env record || exit
sync -f . && mv -T "$root/activations/.new" "$here" || exit
echo "$n" > "$RUN/$app.n"
