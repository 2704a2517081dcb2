# Unpacks a site's image of layers that the host has or was just sent, beside its place, and says last that it is whole.
set -u
root=/srv/@{app}/images venv=/srv/@{app}/venvs/image-@{name} name=@{name}
mkdir -p "$root" && chown root:@{app} "$root" && chmod 750 "$root" && mkdir -p -m 700 "$root/.layers" || exit
for layer in @{sent}; do
  short=$(printf %.24s "$layer")
  mv -f "$UPLOAD/layer-$short" "$root/.layers/$layer" || exit
done
new=$root/.new
rm -rf "$new" "$venv" "$venv.new" "${root:?}/$name" || exit
files=
for layer in @{layers}; do files="$files $layer=$root/.layers/$layer"; done
free=$(df --output=avail -B1 "$root" | tail -n 1) || exit
bin=$(/usr/bin/python3 -I -S - "$new" @{app} @{user} "$free" @{path} @{server} @{mounts} -- $files <<'UNPACK'
@{unpack}
UNPACK
) || { rm -rf "$new"; exit 1; }
mkdir -m 755 "$venv.new" && ln -s "$root/$name" "$venv.new/root" && ln -s "$bin" "$venv.new/bin" &&
  ln -s @{workdir} "$venv.new/work" && printf %s @{env} > "$venv.new/env" && echo @{layers} > "$venv.new/layers" &&
  echo @{image} > "$venv.new/.barehost" && sync -f "$new" && mv -T "$new" "$root/$name" && mv -T "$venv.new" "$venv"
