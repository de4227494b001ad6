"""Runs IMAP commands with Python's imaplib, and prints what the server answered, bytes in base64."""

import base64
import imaplib
import json
import sys


def plain(value):
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


task = json.load(sys.stdin)
answers = []
with imaplib.IMAP4("127.0.0.1", task["port"], timeout=20) as client:
    client.login(task["user"], task["password"])
    for name, *arguments in task["commands"]:
        answers.append(plain(getattr(client, name)(*arguments)))
json.dump(answers, sys.stdout)
