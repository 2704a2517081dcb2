# What the host says about its network, in a file that only root reads: a proxy's address may hold a password.
(umask 077; : > "$RUN/network")
if [ -r /etc/environment ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line#export }
    case $line in
      PIP_*=* | SSL_CERT_*=* | REQUESTS_CA_BUNDLE=* | [Hh][Tt][Tt][Pp]*_[Pp][Rr][Oo][Xx][Yy]=* | \
        [Aa][Ll][Ll]_[Pp][Rr][Oo][Xx][Yy]=* | [Nn][Oo]_[Pp][Rr][Oo][Xx][Yy]=*)
        value=${line#*=} value=${value#\"} value=${value%\"}
        printf '%s="%s"\n' "${line%%=*}" "$(printf %s "$value" | sed 's/[\\"`$]/\\&/g')" ;;
    esac
  done < /etc/environment > "$RUN/network"
fi
