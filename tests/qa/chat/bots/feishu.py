"""飞书: a token by HTTP, events as protobuf frames over a WebSocket or as encrypted calls, answers by HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import Any

import httpx
from Crypto.Cipher import AES
from Crypto.Util.Padding import pad
from websockets.sync.server import ServerConnection

from tests.qa.chat.bots.platforms import Body, Platform, Reply, now_ms
from tests.qa.servers import wait_until

APP_ID, SECRET, BOT = "cli_app", "feishu-secret-1", "ou_bot"
TOKEN, KEY = "verify-1", "encrypt-1"


def _frame() -> Any:
    """A message of the connection; the SDK takes seconds to import, so only who needs it does."""
    from lark_oapi.ws.pb.pbbp2_pb2 import Frame

    return Frame


class Feishu(Platform):
    name = "feishu"

    def __init__(self) -> None:
        super().__init__()
        self.routes = {
            "/callback/ws/endpoint": self._endpoint,
            "/open-apis/auth/v3/tenant_access_token/internal": self._token,
            "/open-apis/bot/v3/info": lambda body, path: (200, {"code": 0, "bot": {"open_id": BOT}}),
            "/open-apis/im/v1/messages/": self._answered,
        }

    def settings(self) -> Body:
        return {"app_id": APP_ID, "app_secret": SECRET, "base_url": self.url}

    def ask(self, text: str, *, user: str = "ada", chat: str = "c1", message: str = "m1", **changed: Any) -> None:
        mentions = [{"key": "@_user_1", "id": {"open_id": BOT}, "name": "助手", "tenant_key": "t"}]
        content = json.dumps({"text": f"@_user_1 {text}"})
        self.push(
            message, user, {"chat_id": chat, "chat_type": "group", "content": content, "mentions": mentions, **changed}
        )

    def ask_alone(self, text: str, *, user: str = "ada", message: str = "m1") -> None:
        self.push(message, user, {"chat_id": user, "chat_type": "p2p", "content": json.dumps({"text": text})})

    def push(self, message: str, user: str, told: Body, sender_type: str = "user") -> None:
        event = {
            "schema": "2.0",
            "header": {
                "event_id": f"e{now_ms()}",
                "event_type": "im.message.receive_v1",
                "create_time": str(now_ms()),
                "token": TOKEN,
                "app_id": APP_ID,
                "tenant_key": "t",
            },
            "event": {
                "sender": {"sender_id": {"open_id": user}, "sender_type": sender_type, "tenant_key": "t"},
                "message": {"message_id": message, "message_type": "text", "create_time": str(now_ms()), **told},
            },
        }
        self.deliver(message, event)

    def deliver(self, message: str, event: Body) -> None:
        frame = _frame()(SeqID=1, LogID=1, service=7, method=1, payload=json.dumps(event).encode())
        for key, value in {"type": "event", "message_id": message, "trace_id": "t", "sum": "1", "seq": "0"}.items():
            frame.headers.add(key=key, value=value)
        self.connection.send(frame.SerializeToString())

    def receive(self, connection: ServerConnection, message: str | bytes) -> None:
        frame = _frame()()
        frame.ParseFromString(message)
        headers = {header.key: header.value for header in frame.headers}
        if headers["type"] == "event" and json.loads(frame.payload)["code"] == 200:
            self.acks.append(headers["message_id"])

    def greet(self, connection: ServerConnection) -> None:
        assert connection.request
        assert "access_key=k" in connection.request.path
        self.connections.append(connection)

    def _endpoint(self, body: Body, path: str) -> tuple[int, Body]:
        if (body["AppID"], body["AppSecret"]) != (APP_ID, SECRET):
            return 200, {"code": 10014, "msg": "app secret invalid"}
        url = f"ws://127.0.0.1:{self.port}/ws?device_id=d&service_id=7&access_key=k"
        often = {"ReconnectCount": -1, "ReconnectInterval": 1, "ReconnectNonce": 0, "PingInterval": 60}
        return 200, {"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": often}}

    def _token(self, body: Body, path: str) -> tuple[int, Body]:
        if (body["app_id"], body["app_secret"]) != (APP_ID, SECRET):
            return 200, {"code": 10014, "msg": "app secret invalid"}
        return 200, {"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200}

    def _answered(self, body: Body, path: str) -> tuple[int, Body]:
        if self.is_failing:
            return 200, {"code": 230002, "msg": "Bot/User can NOT be out of the chat."}
        assert body["headers"]["Authorization"] == "Bearer t-1"
        assert body["msg_type"] == "post"
        (post,) = json.loads(body["content"]).values()
        elements = [element for row in post["content"] for element in [*row, {"tag": "text", "text": "\n"}]]
        text = "".join(element["text"] for element in elements)
        links = [element["href"] for element in elements if element["tag"] == "a"]
        called = [element["tag"] for element in elements if element["tag"] not in ("text", "a")]
        self.replies.put(Reply(text, links, path.split("/")[-2], called))
        return 200, {"code": 0, "msg": "success", "data": {"message_id": "om_reply"}}


class FeishuCallback(Feishu):
    """The same with calls to the bot's address; each is encrypted and signed as documented."""

    connects = False

    def __init__(self, port: int) -> None:
        super().__init__()
        self.bot_port = port

    def settings(self) -> Body:
        proofs = {"verification_token": TOKEN, "encrypt_key": KEY}
        return {**super().settings(), **proofs, "mode": "callback", "port": self.bot_port}

    def wait(self) -> None:
        def is_up() -> bool:
            try:
                return self.post(b"").status_code == 403
            except httpx.TransportError:
                return False

        wait_until(is_up)

    def deliver(self, message: str, event: Body) -> None:
        if self.call(event).status_code == 200:
            self.acks.append(message)

    def call(self, event: Body, *, key: str = KEY, signed_with: str = KEY) -> httpx.Response:
        body = json.dumps({"encrypt": encrypted(json.dumps(event), key)}).encode()
        timestamp, nonce = "1700000000", "nonce-1"
        signature = hashlib.sha256((timestamp + nonce + signed_with).encode() + body).hexdigest()
        headers = {"X-Lark-Request-Timestamp": timestamp, "X-Lark-Request-Nonce": nonce, "X-Lark-Signature": signature}
        return self.post(body, headers)

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{self.bot_port}/feishu/events", content=body, headers=headers, timeout=10)


def encrypted(text: str, key: str) -> str:
    """AES-256-CBC with the SHA-256 of the key, PKCS#7 padding, the vector in front, in base 64."""
    vector = os.urandom(AES.block_size)
    cipher = AES.new(hashlib.sha256(key.encode()).digest(), AES.MODE_CBC, vector)
    return base64.b64encode(vector + cipher.encrypt(pad(text.encode(), AES.block_size))).decode()
