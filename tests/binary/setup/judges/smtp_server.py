"""A mail server for tests: prints each message as a line of JSON.

Arguments: the mode (plain, starttls, tls, refuse) and the file for the certificate authority. The first line that it
prints is its port.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP

mode, authority_file = sys.argv[1:3]
authority = trustme.CA()
authority.cert_pem.write_to_path(authority_file)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
authority.issue_cert("127.0.0.1").configure_cert(context)


class Printer:
    async def handle_DATA(self, server, session, envelope):
        if mode == "refuse":
            return "452 the mailbox is full"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        document = {
            "hello": session.host_name,
            # A server that speaks TLS from the first byte takes nothing else.
            "tls": mode == "tls" or session.ssl is not None,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["Subject"],
            "id": message["Message-ID"],
            "automatic": message["Auto-Submitted"],
            "text": message.get_content(),
            "longest": max(len(line) for line in envelope.content.splitlines()),
        }
        print(json.dumps(document), flush=True)
        return "250 taken"


def session():
    if mode == "starttls":
        return SMTP(Printer(), hostname="127.0.0.1", tls_context=context, require_starttls=True)
    return SMTP(Printer(), hostname="127.0.0.1")


async def serve():
    tls = context if mode == "tls" else None
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
