# Prints the log of an apply as it grows, until the apply's own process, $pid, has ended.
# In: run (the folder of the apply).
case $pid in ''|0) ;; *) tail -n +1 -s 0.003 -f --pid="$pid" @{run}/log & tail=$!; wait "$tail" ;; esac
[ -n "${tail-}" ] || cat @{run}/log
