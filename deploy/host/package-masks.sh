# The beginning of each transaction of apt: what its maintainer scripts would start stays down until it is configured.
# Input: masks (units). Defines fail().
set -u
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 UCF_FORCE_CONFFOLD=1
fail() { printf '%s\n' "$1" >&2; exit 1; }
marks=/run/barehost/masks
mask() {
  for unit in "$@"; do
    # a mask that somebody else set is not ours to lift
    if [ -L "/run/systemd/system/$unit" ] && [ ! -e "$marks/$unit" ]; then continue; fi
    mkdir -p "$marks" && : > "$marks/$unit" && systemctl --quiet mask --runtime -- "$unit" 2>/dev/null ||
      fail "cannot mask $unit while packages are installed: systemctl mask failed"
  done
}
unmask() {
  for mark in "$marks"/*; do
    [ -e "$mark" ] || continue
    systemctl --quiet unmask --runtime -- "${mark##*/}" && rm -f -- "$mark"
  done
}
trap unmask EXIT
trap 'exit 143' HUP INT TERM
if [ -d /run/systemd/system ]; then mask @{masks}; fi
