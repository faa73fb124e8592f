"""企业微信 intelligent robot: everything over one WebSocket with TLS, replies as streams."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.server import Server, ServerConnection
from websockets.sync.server import serve as serve_sockets

from tests.qa.chat.bots.platforms import Body, Platform, Reply, links_in, now_ms

BOT_ID, SECRET = "aib-1", "wecom-secret-1"


class Wecom(Platform):
    name = "wecom"

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []

    def make_sockets(self) -> Server:
        return serve_sockets(self._connected, "127.0.0.1", 0, ssl=trusted())

    def settings(self) -> Body:
        return {"bot_id": BOT_ID, "secret": SECRET, "url": f"wss://127.0.0.1:{self.port}"}

    def ask(self, text: str, *, user: str = "ada", chat: str = "c1", message: str = "m1") -> None:
        self.push(message, user, {"chatid": chat, "chattype": "group", "text": {"content": f"@小助手 {text}"}})

    def ask_alone(self, text: str, *, user: str = "ada", message: str = "m1") -> None:
        self.push(message, user, {"chattype": "single", "text": {"content": text}})

    def push(self, message: str, user: str, told: Body) -> None:
        body = {
            "msgid": message,
            "aibotid": BOT_ID,
            "from": {"userid": user},
            "msgtype": "text",
            "create_time": now_ms(),
        }
        frame = {"cmd": "aibot_msg_callback", "headers": {"req_id": f"req-{message}"}, "body": body | told}
        self.connection.send(json.dumps(frame))

    def greet(self, connection: ServerConnection) -> None:
        """It counts once it is subscribed."""

    def receive(self, connection: ServerConnection, message: str | bytes) -> None:
        frame = json.loads(message)
        command, request = frame["cmd"], frame["headers"]["req_id"]
        errcode, errmsg = 0, "ok"
        if command == "aibot_subscribe":
            if frame["body"] != {"bot_id": BOT_ID, "secret": SECRET}:
                errcode, errmsg = 853000, "invalid bot_id or secret"
            else:
                self.connections.append(connection)
        elif command == "aibot_respond_msg":
            errcode, errmsg = (846608, "stream message update expired") if self.is_failing else (0, "ok")
            self._answered(request.removeprefix("req-"), frame["body"])
        connection.send(json.dumps({"headers": {"req_id": request}, "errcode": errcode, "errmsg": errmsg}))

    def _answered(self, message: str, body: Body) -> None:
        assert body["msgtype"] == "stream"
        stream = body["stream"]
        if not stream["finish"]:
            self.begun.append(stream["id"])
            self.acks.append(message)
        elif not self.is_failing:
            called = re.findall(r"(?<!\\)<@\S+>", stream["content"])
            self.replies.put(Reply(stream["content"], links_in(stream["content"]), message, called, stream["id"]))


@cache
def trusted() -> ssl.SSLContext:
    """A server's side of TLS, whose certificate the SDK trusts from now on."""
    import_module("qa.chat.bots.wecom")  # which imports the SDK without its warning
    with TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        file.write_bytes(make_certificate())
        sys.modules["aibot.ws"]._SSL_CONTEXT.load_verify_locations(file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
    return context


def make_certificate() -> bytes:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - datetime.timedelta(1))
        .not_valid_after(today + datetime.timedelta(1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret + made.public_bytes(serialization.Encoding.PEM)
