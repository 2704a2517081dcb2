# Loads an image from the file $UPLOAD/@{upload} and gives it the name @{reference}; it must have the ID @{image}.
set -u
systemctl is-active -q docker.service || systemctl start docker.service || exit
said=$(docker load -q -i "$UPLOAD/"@{upload} 2>&1) || {
  printf '%s\n' "$said" | tail -n 3
  echo "Docker does not take this file: save the image again with docker save, or with an older docker where this one" \
    "is of an older Debian"
  exit 1
}
docker tag @{image} @{reference} || {
  echo "Docker has loaded the file, and the image in it is another than its own list says: save it again"
  exit 1
}
