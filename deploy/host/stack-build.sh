# Puts the env file into the stack's folder, has Compose check its file, and builds what it builds. The env file is
# written beside the folder, into which containers may write, and replaces whatever lies at its name.
umask 077
mkdir -p "$record" && cp "$UPLOAD/"@{upload} "$folder.env" && mv -fT "$folder.env" "$folder/$env_file" || exit
cd "$folder" || exit
said=$(compose config -q) || {
  printf '%s\n' "$said" | tail -n 5
  echo "Compose refuses the file of the stack $name: mend what it names above"
  exit 1
}
if [ -n @{builds} ]; then
  compose build > "$RUN/build" || {
    tail -n 20 "$RUN/build"
    echo "an image of the stack $name could not be built: see the lines above. A base image that no registry gives" \
      "this host can come from a file, or from Debian's packages, under images: in the inventory"
    exit 1
  }
fi
echo @{files} > "$record/built.new" && mv -f "$record/built.new" "$record/built"
