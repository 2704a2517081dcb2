# Makes a user, or changes one. Input: name, group, home, shell; system (--system, or nothing).
if getent passwd @{name} >/dev/null; then
  usermod --gid @{group} --home @{home} --shell @{shell} -- @{name} || exit
else
  useradd @{system} --gid @{group} --home-dir @{home} --no-create-home --shell @{shell} -- @{name} || exit
fi
