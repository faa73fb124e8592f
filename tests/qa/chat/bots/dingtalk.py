"""钉钉 stream mode: a ticket by HTTP, messages over a WebSocket, answers to each message's session webhook."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from websockets.sync.server import ServerConnection

from tests.qa.chat.bots.platforms import Body, Platform, Reply, links_in, now_ms

CLIENT_ID, SECRET, TICKET, SESSION = "dingclient", "ding-secret-1", "ticket/1=", "session-9"
TOPIC = "/v1.0/im/bot/messages/get"


class Dingtalk(Platform):
    name = "dingtalk"

    def __init__(self) -> None:
        super().__init__()
        self.routes["/v1.0/gateway/connections/open"] = self._open
        self.routes["/robot/sendBySession"] = self._answered
        self.sent = 0

    def settings(self) -> Body:
        return {"client_id": CLIENT_ID, "client_secret": SECRET, "base_url": self.url}

    def ask(self, text: str, *, user: str = "ada", chat: str = "c1", message: str = "m1", **changed: object) -> None:
        self.sent += 1
        data = {
            "conversationId": chat,
            "conversationType": "2",
            "chatbotUserId": "$robot",
            "senderId": f"${user}",
            "senderStaffId": user,
            "senderNick": user.title(),
            "msgId": message,
            "msgtype": "text",
            "text": {"content": f" {text}"},
            "createAt": now_ms(),
            "isInAtList": True,
            "robotCode": CLIENT_ID,
            "atUsers": [{"dingtalkId": "$robot"}],
            "sessionWebhookExpiredTime": now_ms() + 5_400_000,
            "sessionWebhook": f"{self.url}/robot/sendBySession?session={SESSION}-{message}",
        } | changed
        frame = {
            "specVersion": "1.0",
            "type": "CALLBACK",
            "data": json.dumps(data),
            "headers": {
                "appId": "a",
                "connectionId": "c",
                "contentType": "application/json",
                "messageId": f"frame-{self.sent}",
                "time": str(now_ms()),
                "topic": TOPIC,
            },
        }
        self.connection.send(json.dumps(frame))

    def tell(self, topic: str) -> None:
        """A message of the platform itself."""
        self.sent += 1
        headers = {"contentType": "application/json", "messageId": f"frame-{self.sent}", "topic": topic}
        frame = {"specVersion": "1.0", "type": "SYSTEM", "headers": headers, "data": '{"opaque": "o"}'}
        self.connection.send(json.dumps(frame))

    def ask_alone(self, text: str, *, user: str = "ada", message: str = "m1") -> None:
        self.ask(text, user=user, chat=f"alone-{user}", message=message, conversationType="1")

    def receive(self, connection: ServerConnection, message: str | bytes) -> None:
        ack = json.loads(message)
        assert ack["code"] == 200
        self.acks.append(ack["headers"]["messageId"])

    def greet(self, connection: ServerConnection) -> None:
        assert connection.request
        assert parse_qs(urlsplit(connection.request.path).query) == {"ticket": [TICKET]}
        self.connections.append(connection)

    def is_acknowledged(self, message: str) -> bool:
        return f"frame-{self.sent}" in self.acks

    def _open(self, body: Body, path: str) -> tuple[int, Body]:
        if (body["clientId"], body["clientSecret"]) != (CLIENT_ID, SECRET):
            return 401, {"code": "authFailed", "message": "鉴权失败"}
        assert body["subscriptions"] == [{"type": "CALLBACK", "topic": TOPIC}]
        return 200, {"endpoint": f"ws://127.0.0.1:{self.port}/connect", "ticket": TICKET}

    def _answered(self, body: Body, path: str) -> tuple[int, Body]:
        if self.is_failing:
            return 200, {"errcode": 310000, "errmsg": "session expired"}
        assert body["msgtype"] == "markdown"
        text = body["markdown"]["text"]
        (session,) = parse_qs(urlsplit(path).query)["session"]
        called = [user for user in body["at"]["atUserIds"] if user not in ("ada", "ann", "bea", "bob", "cat", "dan")]
        self.replies.put(Reply(text, links_in(text), session.removeprefix(f"{SESSION}-"), called))
        return 200, {"errcode": 0, "errmsg": "ok"}
