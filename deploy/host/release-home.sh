# HOME of a site's commands: made for them and gone with them. What a site could write to for longer (shared/) is not
# theirs: dotfiles there (.npmrc, .gitconfig, pip.conf) would be code of whoever broke into the site.
# Input: app. Output: home, and leave, which is called however the step ends.
home=/var/cache/barehost/home/@{app}
leave() { rm -rf -- "$home"; }
trap 'code=$?; leave || code=1; exit "$code"' EXIT
rm -rf -- "$home"
mkdir -p -- "${home%/*}" && install -d -o @{app} -g @{app} -m 700 -- "$home" || exit
