# What dpkg knows of packages, and which units are masked while packages are installed.
# Input: names. Output: package NAME ARCHITECTURE STATUS FLAG VERSION, masked UNIT, at last end; by tabs. On another
# distribution: other NAME.
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  ID=this; . /etc/os-release; printf 'other\t%s\n' "$ID"; exit 0
fi
rc=0
found=$(dpkg-query -W \
  -f 'package\t${Package}\t${Architecture}\t${db:Status-Status}\t${db:Status-Eflag}\t${Version}\n' -- \
  @{names} 2>&1) || rc=$?
if [ "$rc" -gt 1 ]; then printf '%s\n' "$found" >&2; exit "$rc"; fi
printf '%s\n' "$found"
for mark in /run/barehost/masks/*; do
  if [ -e "$mark" ]; then printf 'masked\t%s\n' "${mark##*/}"; fi
done
echo end
