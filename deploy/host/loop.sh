# The far side of a session: reads frames on stdin, runs scripts, stores uploads; never parses data as shell.
#
# It travels as one argument, through whatever login shell the user has (bash, dash, fish, csh), so it is
# joined into one line first: every line ends in ; or a keyword, comments stand alone on a line, and there is
# no single quote, no exclamation mark and no doubled backslash. deploy/transport/frames.py says what goes over the wire.
# Its environment is the one that deploy/transport/command.py gives it: PATH, HOME and LC_ALL, nothing of the login.
IFS=" "; cd /; umask 077;
fail() { echo "barehost: $*"; exit 1; };
for tool in cat gzip head id mkdir rm sha256sum tail tar tee timeout; do
command -v "$tool" >/dev/null || fail "missing $tool"; done;
[ "$(id -u)" = 0 ] || fail "not root";
read -r nonce < /proc/sys/kernel/random/uuid; read -r id < /proc/sys/kernel/random/uuid;

# What a look needs lies in memory, so that a full disk can still be looked at; uploads go to the disk.
scratch=/run/barehost/sessions/$id; SCRATCH=$scratch; SESSION=/var/lib/barehost/sessions/$id; LOOP=$$; export SCRATCH SESSION LOOP;
mkdir -p "$scratch" && echo $$ > "$scratch/loop" || fail "no folder";
leave() { cd /; if [ -e "$scratch/lock" ]; then read -r holder < "$scratch/lock"; kill "$holder" 2>/dev/null; fi; rm -rf "$scratch" "$SESSION"; };
trap leave EXIT; trap "exit 1" HUP INT PIPE TERM;
umask 022;

# The payload of a frame, exactly; nothing reads it before its hash is what the header says.
script() {
head -c "$size" > "$scratch/frame" || fail "cannot store $name";
[ "$(sha256sum < "$scratch/frame")" = "$sum  -" ] || fail "broken $name";
};
upload() {
[ -d "$SESSION" ] || (umask 077; mkdir -p "$SESSION") || fail "cannot store $name in $SESSION";
[ "$kind" = more ] || : > "$SESSION/$name" || fail "cannot store $name in $SESSION";
got=$({ head -c "$size" | tee -a "$SESSION/$name" || echo unwritten; } | sha256sum);
[ "$got" = "$sum  -" ] || fail "broken $name";
};
# An archive is unpacked as it comes, into a folder; whoever takes it from there checks what came.
parts() {
head -c "$size" || exit; while read -r kind name size sum limit && [ "$kind" = part ]; do head -c "$size" || exit; done;
};
unpack() {
rm -rf "$SESSION/$name"; (umask 077; mkdir -p "$SESSION/$name") || fail "cannot store $name in $SESSION";
parts | tar -x $packed -p --no-same-owner -C "$SESSION/$name" -f - 2> "$scratch/stderr" ||
{ head -n 1 "$scratch/stderr"; fail "cannot store $name in $SESSION"; };
};
perform() { timeout -k 10 "$limit" sh "$1" </dev/null 2>"$scratch/stderr"; };
reply() {
if [ -s "$scratch/stderr" ]; then
printf "%s %s 1\n" "$nonce" "$rc"; tail -c 65536 "$scratch/stderr"; printf "%s\n" "$nonce";
else printf "%s %s 0\n" "$nonce" "$rc"; fi;
};

printf "\nbarehost ready %s\n" "$nonce";
while read -r kind name size sum limit; do
case "$kind" in
file|more) upload;;
tar) packed=; unpack;;
tgz) packed=-z; unpack;;
run) script; perform "$scratch/frame"; rc=$?; reply;;
zrun) script; gzip -dc < "$scratch/frame" > "$scratch/script" || fail "cannot store $name";
{ perform "$scratch/script"; echo $? > "$scratch/rc"; } | gzip -1; read -r rc < "$scratch/rc"; reply;;
*) fail "unknown frame $kind";;
esac; done
