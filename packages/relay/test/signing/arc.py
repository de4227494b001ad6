"""Verifies ARC by dkimpy. Reads {"records": {name: text}, "messages": [base64]}, prints the status of each message."""
import base64
import json
import sys

import dkim

job = json.load(sys.stdin)


def txt(name, timeout=5):
    return job["records"].get(name.decode().rstrip("."), "").encode()


print(json.dumps([dkim.arc_verify(base64.b64decode(one), dnsfunc=txt)[0].decode() for one in job["messages"]]))
