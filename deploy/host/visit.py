"""Asks this host's Nginx for pages as a client would and prints what came as JSON. Runs on the host.

visit.py '{"port": 80, "tls": false, "name": "example.com", "headers": {}, "paths": ["/"]}': each path is sent as it
is given, over a connection of its own.
"""

import hashlib
import http.client
import json
import socket
import ssl
import sys

asked = json.loads(sys.argv[1])


def connection():
    plain = socket.create_connection(("127.0.0.1", asked["port"]), 10)
    if not asked["tls"]:
        return plain
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the question is what is served, not whether a browser would agree
    return context.wrap_socket(plain, server_hostname=asked["name"].strip("[]"))


def nothing(problem=None):
    return {"status": None, "headers": {}, "size": 0, "sha256": "", "text": "", "problem": problem}


def visit(path):
    lines = [f"GET {path} HTTP/1.1", f"Host: {asked['name']}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in asked["headers"].items()]
    try:
        with connection() as stream:
            stream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            answer = http.client.HTTPResponse(stream, method="GET")
            answer.begin()
            body = answer.read()
    except http.client.RemoteDisconnected:
        return nothing()
    except ConnectionResetError:
        return nothing()
    except (OSError, http.client.HTTPException) as error:
        return nothing(str(error) or type(error).__name__)
    return {
        "status": answer.status,
        "headers": {name.lower(): value for name, value in answer.getheaders()},
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": body[:65536].decode("latin-1"),
    }


print(json.dumps([visit(path) for path in asked["paths"]]))
