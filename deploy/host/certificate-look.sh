# certificate SITE PORT NAME DIGEST...: what is known of a site's certificate, as key=value lines below "site=".
# "due": whether it is to be ordered now; "served": whether visitors are shown the one that lies there; "waiting": an order
# for the same (DIGEST) has failed, and none is tried before "until".
certificate() {
  here=/var/lib/barehost/tls/$1
  printf 'site=%s\n' "$1"
  start=0 end=0
  if [ -e "$here/about" ]; then
    while IFS='=' read -r key text; do
      printf '%s=%s\n' "$key" "$text"
      case $key in start) start=$text ;; end) end=$text ;; esac
    done < "$here/about"
  fi
  if [ $((end - now)) -lt $(((end - start) / 3)) ] || [ "$end" = 0 ]; then echo due=yes; else echo due=no; fi
  shown=$(timeout 5 openssl s_client -connect "127.0.0.1:$2" -servername "$3" </dev/null 2>/dev/null |
    sed -n '/-BEGIN CERT/,/-END CERT/p;/-END CERT/q')
  if [ -n "$shown" ] && [ "$shown" = "$(sed -n '/-BEGIN CERT/,/-END CERT/p;/-END CERT/q' "$here/live/fullchain.pem" 2>/dev/null)" ]
  then echo served=yes; else echo served=no; fi
  [ -e "/srv/$1/issued" ] || echo issued=no
  if [ -e "$here/failed" ]; then
    until=0 digest='' reason='' count=''
    while IFS='=' read -r key text; do
      case $key in until) until=$text ;; digest) digest=$text ;; reason) reason=$text ;; count) count=$text ;; esac
    done < "$here/failed"
    if [ "$digest" = "$4" ]; then
      printf 'problem=%s\nfailures=%s\nuntil=%s\n' "$reason" "$count" "$(date -u -d "@$until" '+%Y-%m-%d %H:%M UTC')"
      [ "$until" -le "$now" ] || echo waiting=yes
    fi
  fi
  printf 'days left=%s\n' $(((end - now) / 86400))
}
now=$(date +%s)
