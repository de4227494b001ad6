"""One session of smtplib.LMTP: a JSON object on standard input says what to send, one on standard output what came of it."""

import json
import smtplib
import sys

task = json.load(sys.stdin)
outcome = []
with smtplib.LMTP(task["host"], task.get("port", 0), "client.example") as client:
    for to in task["to"]:
        try:
            refused = client.sendmail("ann@sender.example", to, "Subject: x\r\n\r\n.\r\nhi\r\n")
            outcome.append({address: answer[0] for address, answer in refused.items()})
        except smtplib.SMTPRecipientsRefused as error:
            outcome.append({address: answer[0] for address, answer in error.recipients.items()})
    outcome.append(client.noop()[0])
json.dump(outcome, sys.stdout)
