# How an undo begins: the commands that follow put files back, in the scopes that go back.
# Input: $1, the scope that failed (none: the run). back SCOPES: whether one of them goes back, for none was asked for
# or this one, and it is not kept. same: two names are one file already, which mv calls an error.
only=${1-}
back() {
  for scope; do
    { [ -z "$only" ] || [ "$only" = "$scope" ]; } && [ ! -e "/var/lib/barehost/kept/$scope" ] && return
  done
  return 1
}
same() { [ "$(stat -c %d:%i -- "$1")" = "$(stat -c %d:%i -- "$2" 2>/dev/null)" ]; }
