# Runs as root after each start of an instance, in the mounts of the host: within those of the unit the two folders are
# two file systems. Gives the socket that the instance opened the name that Nginx opens, in a folder of root's. A site
# that was broken into can replace its own name by a link to another site's socket, but not this one: it is given to a
# socket of the site's account and to nothing else.
#
#   $1 the instance's own name of the socket   $2 Nginx's name   $3 the site's account   MAINPID of the instance
# Servers that do not tell systemd when they are ready may not have opened it yet.
left=1200
until [ -S "$1" ]; do
  kill -0 "$MAINPID" 2>/dev/null || { echo "the server ended before it opened $1"; exit 1; }
  [ "$((left -= 1))" -gt 0 ] || { echo "the server has not opened $1 within a minute"; exit 1; }
  sleep 0.05
done
ln -fPT "$1" "$2.new" && [ "$(stat -c '%F %U' "$2.new")" = "socket $3" ] || { echo "$1 is not a socket of its own"; exit 1; }
chmod 660 "$2.new" && mv -fT "$2.new" "$2"
