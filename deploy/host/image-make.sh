# Makes the image @{reference} of this host's own Debian, @{suite}, with @{packages}, from where its apt has them. It
# trusts the authorities that the host trusts, and asks pip's index that the host asks.
set -u
systemctl is-active -q docker.service || systemctl start docker.service || exit
set -- --variant=essential --include=@{packages}
apt-config dump | grep -iE '^Acquire::https?::Proxy ' > "$RUN/proxy"
[ ! -s "$RUN/proxy" ] || set -- "$@" --aptopt="$RUN/proxy"
if [ -e /etc/pip.conf ]; then set -- "$@" --customize-hook='copy-in /etc/pip.conf /etc'; fi
if [ -n "$(ls /usr/local/share/ca-certificates 2>/dev/null)" ]; then
  set -- "$@" --customize-hook='copy-in /usr/local/share/ca-certificates /usr/local/share' \
    --customize-hook='chroot "$1" update-ca-certificates'
fi
for sources in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  case $sources in *.list | *.sources) [ ! -s "$sources" ] || from="${from-} $sources" ;; esac
done
tar=$RUN/image.tar
mmdebstrap -q "$@" @{suite} "$tar" ${from-} 2> "$RUN/mmdebstrap" || {
  tail -n 5 "$RUN/mmdebstrap"
  echo "the image could not be made from Debian's packages: see the lines above"
  exit 1
}
docker import --change 'LABEL barehost.made-of='@{made_of} --change 'CMD ["/bin/sh"]' "$tar" @{reference} && rm -f "$tar"
