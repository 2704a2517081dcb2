#!/bin/sh
# Written by Barehost: the next run replaces what is edited here.
# Certificates of this host's sites, issued and renewed by certbot over HTTP on port 80. Runs as root.
#
#   certificates renew         each site whose certificate is due; what the timer runs
#   certificates order SITE    that one, where it is due; ends with 0 also where the authority refuses
#   certificates deploy SITE   what was issued becomes what Nginx serves, where it is not yet
#
# In: /etc/barehost/certificates, a line for each site:
#   certificate SITE DIGEST DIRECTORY EMAIL KEY-TYPE PORT NAME...     (DIGEST: of this line; EMAIL may be empty)
# Kept in /var/lib/barehost/tls: certbot/ (accounts, keys), and for each site a folder for each certificate, "live" (a
# link to the one that Nginx reads), "about" (what it is) and "failed" (what went wrong, and until when nothing is tried).
# The file /srv/SITE/issued says to Nginx that visitors can be led to https.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
store=/var/lib/barehost/tls
conf=/etc/barehost/certificates
tab=$(printf '\t')

now() { date +%s; }
first() { sed -n '/-BEGIN CERT/,/-END CERT/p;/-END CERT/q' "$1"; }
epoch() { date -d "$(openssl x509 -in "$1" -noout "-$2" | cut -d= -f2-)" +%s; }
value() { sed -n "s/^$1=//p" "$2" 2>/dev/null | head -n 1; }

# What is issued, as lines that every look reads.
describe() { # chain, key type and directory as ordered
  printf 'start=%s\nend=%s\n' "$(epoch "$1" startdate)" "$(epoch "$1" enddate)"
  printf 'issuer=%s\n' "$(openssl x509 -in "$1" -noout -issuer -nameopt RFC2253 | sed 's/^issuer=//')"
  printf 'names=%s\n' "$(openssl x509 -in "$1" -noout -ext subjectAltName | sed -n 's/, */\n/g;s/^ *//;p' |
    sed -n 's/^DNS://p' | sort | tr '\n' ' ' | sed 's/ $//')"
  printf 'key type=%s\ndirectory=%s\n' "$2" "$3"
}

serves() { # site: a visitor is shown the first certificate of what is live
  [ "$(timeout 5 openssl s_client -connect "127.0.0.1:$port" -servername "$1" </dev/null 2>/dev/null |
    sed -n '/-BEGIN CERT/,/-END CERT/p;/-END CERT/q')" = "$(first "$store/$site/live/fullchain.pem")" ]
}

reload() { # Nginx takes what lies there, and shows it
  systemctl -q is-active nginx.service || return 0
  # Not while a run has files in place that are not proven yet; inside of that run it is part of it. No longer than this,
  # for that run may itself be waiting here to order a certificate.
  [ -n "${RUN-}" ] || flock -w 60 /run/barehost/lock true || :
  nginx -t -q && systemctl reload nginx.service || return
  left=60
  until serves "$1"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "Nginx does not show the new certificate of $1"; return 1; }
    sleep 0.25
  done
}

point() { ln -sfn "$1" "$store/$site/.live" && mv -fT "$store/$site/.live" "$store/$site/live"; }

# The pair that certbot has becomes the one that Nginx serves; back to the one before where Nginx does not take it.
deploy() {
  from=$store/certbot/config/live/$site
  [ -e "$from/fullchain.pem" ] || return 0
  sum=$(sha256sum < "$from/fullchain.pem") && sum=$(printf '%.16s' "$sum")
  before=$(readlink "$store/$site/live")
  if [ "$before" = "$sum" ] && serves "$main"; then return 0; fi
  if [ "$before" != "$sum" ]; then
    [ "$(openssl x509 -in "$from/fullchain.pem" -noout -pubkey)" = "$(openssl pkey -in "$from/privkey.pem" -pubout)" ] ||
      { echo "certbot's key is not that of its certificate"; return 1; }
    rm -rf "$store/$site/$sum" && mkdir -p "$store/$site/$sum" &&
      cat "$from/fullchain.pem" > "$store/$site/$sum/fullchain.pem" &&
      cat "$from/privkey.pem" > "$store/$site/$sum/privkey.pem" && sync -f "$store" || return
    point "$sum"
  fi
  if ! reload "$main"; then
    [ -z "$before" ] || { point "$before"; ! nginx -t -q || systemctl reload nginx.service; }
    return 1
  fi
  describe "$store/$site/live/fullchain.pem" "$kind" "$directory" > "$store/$site/.about" &&
    mv -f "$store/$site/.about" "$store/$site/about" && : > "/srv/$site/issued" && chmod 644 "/srv/$site/issued" || return
  for old in "$store/$site"/*/; do
    old=${old%/}
    case ${old##*/} in "$sum" | live | placeholder) ;; *) [ -L "$old" ] || rm -rf "$old" ;; esac
  done
}

# Missing, for other names, of another kind or authority, or with less than a third of its life left.
due() {
  about=$store/$site/about
  [ -e "$about" ] && [ "$(value names "$about")" = "$wanted" ] && [ "$(value 'key type' "$about")" = "$kind" ] &&
    [ "$(value directory "$about")" = "$directory" ] || return 0
  start=$(value start "$about") end=$(value end "$about")
  [ $((end - $(now))) -lt $(((end - start) / 3)) ]
}

waiting() { # the authority is asked no more until then, unless something else is asked for than what failed
  [ "$(value digest "$store/$site/failed")" = "$digest" ] && [ "$(value until "$store/$site/failed")" -gt "$(now)" ]
}

# Within an hour four tries at most: authorities allow five that fail for a name.
wait_for() { # how often it has failed
  case $1 in 1) echo 60 ;; 2) echo 300 ;; 3) echo 1800 ;; 4) echo 7200 ;; 5) echo 21600 ;; *) echo 43200 ;; esac
}

failed() { # what a person is to read; certbot's output lies in $log
  count=1
  [ "$(value digest "$store/$site/failed")" != "$digest" ] || count=$(($(value count "$store/$site/failed") + 1))
  until=$(($(now) + $(wait_for "$count")))
  if grep -qiE 'rateLimited|too many (certificates|failed|new|requests)' "$log"; then
    later=$(sed -nE 's/.*[Rr]etry[ -][Aa]fter:? ([0-9-]{10}[ T][0-9:]{8}).*/\1/p' "$log" | head -n 1)
    later=$(date -d "${later:-1 hour} UTC" +%s 2>/dev/null) || later=$(($(now) + 3600))
    [ "$later" -le "$until" ] || until=$later
  fi
  printf 'digest=%s\ncount=%s\nuntil=%s\nreason=%s\n' "$digest" "$count" "$until" "$1" > "$store/$site/.failed" &&
    mv -f "$store/$site/.failed" "$store/$site/failed"
  echo "$site: no certificate: $1"
}

# What the authority said last, which certbot before 2.7 may hide behind an error of its own.
explain() {
  own=$store/certbot/logs/letsencrypt.log
  sed -n 's/^ *"type": "\(urn:ietf:params:acme:error:[A-Za-z]*\)".*/Problem: \1/p' "$own" 2>/dev/null | tail -n 1 >> "$log"
  sed -n 's/^ *"detail": "\(.*\)",\{0,1\}$/Detail: \1/p' "$own" 2>/dev/null | tail -n 1 >> "$log"
}

# The last words of certbot that say why, on one line.
why() {
  text=$(sed -n 's/^ *Detail: //p' "$log" | head -n 1)
  [ -n "$text" ] || text=$(grep -E 'urn:ietf:params:acme|[Ee]rror|[Ee]xception|refused|timed out|No such|not known' "$log" |
    grep -vE '^ *(Traceback|Ask for help|See the logfile|Saving debug log)' | tail -n 1)
  [ -n "$text" ] || text=$(tail -n 3 "$log")
  printf '%s' "$text" | tr -s ' \t\n' ' ' | tr -cd '[:print:]' | cut -c -300
}

# This host's own Nginx answers for each name; an order for one that it does not know can only fail.
answered() {
  token=barehost-$$-$(now)
  mkdir -p /var/www/acme/.well-known/acme-challenge && chmod 755 /var/www/acme/.well-known /var/www/acme/.well-known/acme-challenge
  (umask 022 && echo "$token" > "/var/www/acme/.well-known/acme-challenge/$token")
  for name; do
    got=$(timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 &&
      printf "GET /.well-known/acme-challenge/%s HTTP/1.0\r\nHost: %s\r\n\r\n" "$1" "$2" >&3 && cat <&3' ask "$token" "$name" 2>/dev/null)
    case $got in *"$token"*) ;; *) unserved=$name; break ;; esac
  done
  rm -f "/var/www/acme/.well-known/acme-challenge/$token"
  [ -z "${unserved-}" ]
}

order() {
  log=$store/$site/log
  mkdir -p "$store/$site" && : > "$log"
  if ! due; then
    deploy > "$log" 2>&1 || failed "$(why)"
    return 0
  fi
  waiting && return 0
  unserved=
  answered "$@" || { failed "Nginx on this host does not answer on port 80 for $unserved"; return 0; }
  contact="--register-unsafely-without-email"
  [ -z "$email" ] || contact="-m $email"
  domains=
  for name; do domains="$domains -d $name"; done
  try=0
  # the names were checked to hold nothing but letters, digits, dots and dashes: they are words
  while :; do
    # shellcheck disable=SC2086
    timeout -k 10 180 certbot certonly -n --agree-tos $contact --server "$directory" \
      --config-dir "$store/certbot/config" --work-dir "$store/certbot/work" --logs-dir "$store/certbot/logs" \
      --max-log-backups 20 --no-directory-hooks --webroot -w /var/www/acme --cert-name "$site" --key-type "$kind" \
      --force-renewal --renew-with-new-domains --break-my-certs $domains > "$log" 2>&1 </dev/null
    code=$?
    [ "$code" -eq 0 ] || explain
    [ "$code" -ne 0 ] && [ "$((try += 1))" -lt 4 ] || break
    if grep -q accountDoesNotExist "$log"; then rm -rf "$store/certbot/config/accounts" # the authority has forgotten it
    elif ! grep -q badNonce "$log"; then break; fi # nothing was ordered by that
  done
  if [ "$code" -eq 124 ]; then failed "the authority did not come to an end within 180 seconds"; return 0; fi
  [ "$code" -eq 0 ] || { failed "$(why)"; return 0; }
  deploy > "$log" 2>&1 || { failed "it was issued, and Nginx did not take it: $(why)"; return 0; }
  rm -f "$store/$site/failed"
}

certificate() { # see above; calls $act for the site that is asked for, or for each
  site=$1 digest=$2 directory=$3 email=$4 kind=$5 port=$6
  shift 6
  main=$1
  [ -z "$only" ] || [ "$only" = "$site" ] || return 0
  wanted=$(printf '%s\n' "$@" | sort | tr '\n' ' ') && wanted=${wanted% }
  $act "$@"
}

act=${1-} only=${2-}
case $act in
  renew) act=order ;;
  order | deploy) ;;
  *) sed -n '5,7s/^# *//p' "$0"; exit 2 ;;
esac
[ -e "$conf" ] || exit 0
mkdir -p -m 700 "$store" /run/barehost
exec 8>>"$store/lock"
flock -w 900 8 || { echo "another one orders certificates for 15 minutes already"; exit 1; }
. "$conf"
