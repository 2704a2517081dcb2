# The folders (not the shipped files) belong to the site's account while its commands run.
set -e
folder=/srv/@{app}/releases/@{release}
back() { find "$folder" ! -user root -exec chown -h root:@{app} {} +; }
trap back EXIT
find "$folder" -type d -exec chown -h @{app} {} +
