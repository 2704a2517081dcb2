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
mkdir -m 750 "$root/activations/.new" && cd "$root/activations/.new" || exit
mkdir -m 750 www && tar -xpzf "$UPLOAD/activation-$app" --no-same-owner || exit
ln -s "$socket" gunicorn.sock && printf 'unit %s\nrenewed %s\n' @{unit} @{renewed} > record || exit
chown -hR "root:$app" . && chown root:root env record && chmod 600 env record || exit
find www -type d -exec chmod 750 {} + && sync -f . && mv -T "$root/activations/.new" "$here" || exit
echo "$n" > "$RUN/$app.n"
