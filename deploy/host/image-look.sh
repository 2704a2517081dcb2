# image NAME: the ID of the image that Docker has under that name, and what it says that it is made of; an empty line
# where there is none, or no Docker that runs.
image() {
  label='{{with .Config}}{{with .Labels}}{{index . "barehost.made-of"}}{{end}}{{end}}'
  found=$(docker image inspect --format "{{.Id}} $label" -- "$1" 2>/dev/null) || found=
  echo "$found"
}
