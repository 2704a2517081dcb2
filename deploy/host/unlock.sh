# Gives the host back; nothing happens where this session does not hold it.
[ -e "$SCRATCH/lock" ] || exit 0
read -r holder < "$SCRATCH/lock" && kill "$holder" 2>/dev/null
rm -f "$SCRATCH/lock"
