# Enable the new, rename, disable the old: after each of these three a reboot comes up with a served site, so
# each is on the disk before the next.
old=$(readlink "$root/current") || old=
old=${old##*/}
echo "$old" > "$RUN/$app.old" || exit
was=$(readlink "$root/activations/$old/release") && printf 'before %s\n' "${was##*/}" >> "$here/record"
marked access
enabled "$n" && sync -f "$wants" && current "$n" && sync -f "$root" || exit
[ -z "$old" ] || [ "$old" = "$n" ] || disabled "$old"
