"""One session of smtplib: a JSON object on standard input says what to do, one on standard output what came of it."""

import base64
import json
import smtplib
import ssl
import sys

task = json.load(sys.stdin)
context = ssl.create_default_context(cafile=task.get("ca"))
outcome = {}
try:
    if task["security"] == "implicit":
        client = smtplib.SMTP_SSL("127.0.0.1", task["port"], "client.example", timeout=30, context=context)
    else:
        client = smtplib.SMTP("127.0.0.1", task["port"], "client.example", timeout=30)
    with client:
        client.ehlo()
        if task["security"] == "starttls":
            client.starttls(context=context)
            client.ehlo()
        if "user" in task:
            client.user, client.password = task["user"], task["password"]
            mechanism = task["mechanism"]
            method = {"PLAIN": client.auth_plain, "LOGIN": client.auth_login}[mechanism]
            outcome["auth"] = client.auth(mechanism, method, initial_response_ok=task["initial_response"])[0]
        outcome["refused"] = []
        for message in task["messages"]:
            refused = client.sendmail(
                message["from"],
                message["to"],
                base64.b64decode(message["bytes"]),
                mail_options=message.get("mail_options", []),
                rcpt_options=message.get("rcpt_options", []),
            )
            outcome["refused"].append({address: answer[0] for address, answer in refused.items()})
        outcome["noop"] = client.noop()[0]
except smtplib.SMTPRecipientsRefused as error:
    outcome["error"] = {"name": "SMTPRecipientsRefused", "code": [a[0] for a in error.recipients.values()]}
except smtplib.SMTPResponseException as error:
    outcome["error"] = {"name": type(error).__name__, "code": error.smtp_code}
json.dump(outcome, sys.stdout)
