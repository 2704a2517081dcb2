"""Tells somebody what is not well on this host: once when it begins, once when it is over. Runs on it, by a timer.

alert.py CONFIG STATE NAME ALARMS: ALARMS is the script that prints what is not well; CONFIG holds lines with
"webhook URL", "ping URL" and "mail COMMAND", of which none need be there. STATE: the file with what was told last. The
ping goes out in each run in which all is well: whoever waits for it hears of a host that says nothing any more. Ends
with 1 where somebody could not be told; the next run tries again.
"""

import json
import subprocess
import sys
import urllib.request

config, state, name, script = sys.argv[1:]
SECONDS = 20


def settings():
    with open(config, encoding="utf-8") as file:
        return [line.rstrip("\n").split(" ", 1) for line in file if " " in line]


def last():
    try:
        with open(state, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return []


def tell(kind, where, alarms, over):
    if kind == "webhook":
        body = json.dumps({"host": name, "text": text(alarms, over), "alarms": alarms, "over": over}).encode()
        request = urllib.request.Request(where, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=SECONDS).close()
    elif kind == "mail":
        subprocess.run(["sh", "-c", where], input=text(alarms, over).encode(), timeout=SECONDS, check=True)


def text(alarms, over):
    lines = [f"{name}: {one}" for one in alarms] or [f"{name}: all is well again"]
    return "\n".join([*lines, *(f"{name}: over: {one}" for one in over)]) + "\n"


def main():
    printed = subprocess.run(["sh", script], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
    alarms = sorted({line.split("\t", 1)[1] for line in printed.splitlines() if "\t" in line})
    before, failed = last(), False
    over = [one for one in before if one not in alarms]
    for kind, where in settings():
        try:
            if kind == "ping" and not alarms:
                urllib.request.urlopen(where, timeout=SECONDS).close()
            elif kind != "ping" and alarms != before:
                tell(kind, where, alarms, over)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            print(f"{kind}: {type(error).__name__}", file=sys.stderr)  # an address may be a secret
            failed = True
    if not failed:
        with open(state, "w", encoding="utf-8") as file:
            json.dump(alarms, file)
    sys.exit(1 if failed else 0)


main()
