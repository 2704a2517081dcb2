# say APP RELEASE WORD: a line with what the record last said of the word, empty when nothing.
say() { # app release word: a line with what the record last said of the word, empty when nothing
  last=
  if [ -f @{records}/"$1/$2" ]; then
    while read -r key value; do [ "$key" = "$3" ] && last=$value; done < @{records}/"$1/$2"
  fi
  printf '%s\n' "$last"
}
