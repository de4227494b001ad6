"""An aiosmtpd with STARTTLS and logins, which writes each message to a file for each recipient. Its argument has the settings as JSON."""
import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == settings["nobody"]:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        for recipient in envelope.rcpt_tos:
            path = os.path.join(settings["directory"], recipient)
            with open(path + ".part", "wb") as file:
                file.write(envelope.original_content)
            os.rename(path + ".part", path)
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    expected = (settings["user"].encode(), settings["password"].encode())
    return AuthResult(success=(data.login, data.password) == expected, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(settings["certFile"], settings["keyFile"])


def make():
    return SMTP(
        Handler(),
        hostname="aiosmtpd.receiver.example",
        tls_context=context,
        authenticator=authenticate,
        enable_SMTPUTF8=True,
        data_size_limit=30_000_000,
    )


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_server(make, "127.0.0.1", settings["port"])
    # The test ends the standard input when it is done.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
