"""Verifies signatures with dkimpy. Reads {"records": {name: text}, "messages": [base64]}, prints a list of results for each message."""
import base64
import json
import sys

import dkim

job = json.load(sys.stdin)


def txt(name, timeout=5):
    return job["records"].get(name.decode().rstrip("."), "").encode()


def verify(message, index):
    try:
        return "pass" if dkim.DKIM(message).verify(index, dnsfunc=txt) else "fail"
    except dkim.DKIMException as error:
        return f"error: {error}"


results = []
for encoded in job["messages"]:
    message = base64.b64decode(encoded)
    results.append([verify(message, index) for index in range(job["signatures"])])
print(json.dumps(results))
