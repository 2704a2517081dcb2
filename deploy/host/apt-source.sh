# A source of packages and its key take their places, and its index is fetched; what apt cannot use goes back.
# in:  file, keyring, fetched (paths), text, key (contents), digest (of both), name
# out: what apt says, and a sentence where it refuses
for place in @{file} @{keyring}; do
  rm -f "$RUN/${place##*/}.before"
  [ ! -e "$place" ] || cp -p -- "$place" "$RUN/${place##*/}.before" || exit
done
back() {
  for place in @{file} @{keyring}; do
    if [ -e "$RUN/${place##*/}.before" ]; then mv -f -- "$RUN/${place##*/}.before" "$place"; else rm -f -- "$place"; fi
  done
  fail "$1"
}
mkdir -p -m 755 /etc/apt/keyrings && mkdir -p -m 700 "$(dirname -- @{fetched})" && rm -f -- @{fetched} || exit
(umask 022; printf %s @{key} > "$RUN/key" && printf %s @{text} > "$RUN/source") || exit
install -T -m 644 -- "$RUN/key" @{keyring} && install -T -m 644 -- "$RUN/source" @{file} || back "the source cannot be written"
apt-get update -q -o Dir::Etc::sourcelist=@{file} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 \
  -o APT::Update::Error-Mode=any -o Acquire::Languages=none -o Acquire::Retries=2 -o DPkg::Lock::Timeout=120 </dev/null ||
  back "apt cannot use the source "@{name}", so it was taken back: its own lines above say why"
sync -- @{keyring} @{file} && printf '%s\n' @{digest} > @{fetched}
