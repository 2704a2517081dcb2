# Makes a certificate that nobody believes, so that Nginx takes its configuration before there is another.
# In: here, the site's folder of certificates.
umask 077
mkdir -p @{here}/placeholder
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=placeholder \
  -keyout @{here}/placeholder/privkey.pem -out @{here}/placeholder/fullchain.pem 2>/dev/null
sync -f @{here}
ln -sfn placeholder @{here}/live
