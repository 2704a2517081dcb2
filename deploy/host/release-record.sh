# say APP RELEASE WORD: prints the last value of the word in the release's record; an empty line where it has none.
say() { # app release word
  last=
  if [ -f @{records}/"$1/$2" ]; then
    while read -r key value; do [ "$key" = "$3" ] && last=$value; done < @{records}/"$1/$2"
  fi
  printf '%s\n' "$last"
}
