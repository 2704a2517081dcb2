# Start the instance. Type=notify says "active" for an app that then dies: that is what the health is for.
clock; echo "$seconds" > "$RUN/$app.started"
marked error
systemctl start "$unit" && exit
journal
echo "$unit did not start"
[ "$(readlink "$root/current")" = "activations/$n" ] || { record failed; refused; }
exit 1
