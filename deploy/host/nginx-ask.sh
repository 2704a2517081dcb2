# For bash, which a bare host has where it has no curl: asks on many connections at once, a few times: when the first
# ones come the new workers may not yet be listening. Input: port, marks, number of connections.
{ exec {silent}<> "/dev/tcp/127.0.0.1/$1" || exit; } 2>/dev/null
for ((try = 0; try < 5; try++)); do
  for ((i = 0; i < $3; i++)); do exec {asked[i]}<> "/dev/tcp/127.0.0.1/$1" || exit; done 2>/dev/null
  for one in "${asked[@]}"; do
    printf 'GET /.barehost/config HTTP/1.0\r\nHost: barehost.invalid\r\n\r\n' >&"$one"
  done
  for one in "${asked[@]}"; do
    IFS= read -r -d '' -u "$one" answer
    [[ ${answer##*$'\n'} != "$2" ]] || exit 0
    exec {one}>&-
  done
  read -r -t 0.003 -u "$silent" # a pause without a program
done
exit 1
