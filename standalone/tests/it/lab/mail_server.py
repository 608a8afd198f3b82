"""A mail server on a port of its own: prints the port, then every mail that it takes as one line of JSON.

`refused@…` is no address of its own, `later@…` is one only from the second try on, `slow@…` never answers. Where a user
and a password are given, it takes mail from nobody else. It ends with its standard input.
"""

import asyncio
import email
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self):
        self.tries = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        self.tries[address] = self.tries.get(address, 0) + 1
        if name == "refused":
            return f"550 5.1.1 <{address}> is no address of ours"
        if name == "later" and self.tries[address] == 1:
            return f"451 4.7.1 <{address}> must come again"
        if name == "slow":
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = lambda kind: part.get_content() if (part := mail.get_body((kind,))) else None
        told = {
            "from": mail["from"],
            "to": mail["to"],
            "rcpt": envelope.rcpt_tos,
            "peer": session.peer[1],
            "subject": mail["subject"],
            "messageId": mail["message-id"],
            "language": mail["content-language"],
            "autoSubmitted": mail["auto-submitted"],
            "text": body("plain"),
            "html": body("html"),
            "attachments": [
                {"name": part.get_filename(), "type": part.get_content_type(), "bytes": len(part.get_content())}
                for part in mail.iter_attachments()
            ],
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


def check(server, session, envelope, mechanism, data):
    is_known = [data.login.decode(), data.password.decode()] == sys.argv[1:3]
    return AuthResult(success=is_known, handled=False)


async def main():
    loop = asyncio.get_running_loop()
    handler = Handler()
    closed = len(sys.argv) > 1
    make = lambda: SMTP(
        handler,
        loop=loop,
        auth_required=closed,
        auth_require_tls=False,
        authenticator=check if closed else None,
    )
    server = await loop.create_server(make, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
