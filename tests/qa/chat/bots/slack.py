"""Slack socket mode: tokens and an address by HTTP, envelopes over a WebSocket, answers by HTTP."""

from __future__ import annotations

import json
import re
from typing import Any

from websockets.sync.server import ServerConnection

from tests.qa.chat.bots.platforms import Body, Platform, Reply

BOT_TOKEN, APP_TOKEN, BOT = "xoxb-secret-1", "xapp-secret-2", "UBOT1"


class Slack(Platform):
    name = "slack"

    def __init__(self) -> None:
        super().__init__()
        self.routes = {
            "/api/auth.test": self._who,
            "/api/apps.connections.open": self._open,
            "/api/chat.postMessage": self._answered,
        }
        self.envelopes = 0
        self.retries: dict[str, int] = {}

    def settings(self) -> Body:
        return {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN, "base_url": f"{self.url}/api/"}

    def ask(self, text: str, *, user: str = "ada", chat: str = "c1", message: str = "m1", **changed: Any) -> None:
        # A thread of its own for each chat and user, as their conversation.
        root = {"thread_ts": f"root-{chat}-{user}"}
        self.push(
            {
                "type": "app_mention",
                "text": f"<@{BOT}> {text}",
                "user": user.upper(),
                "ts": message,
                "channel": chat,
                **root,
                **changed,
            }
        )

    def ask_alone(self, text: str, *, user: str = "ada", message: str = "m1") -> None:
        self.push(
            {
                "type": "message",
                "channel_type": "im",
                "text": text,
                "user": user.upper(),
                "ts": message,
                "channel": f"D{user}",
            }
        )

    def push(self, event: Body) -> None:
        self.envelopes += 1
        retries = self.retries.get(event["ts"], -1) + 1
        self.retries[event["ts"]] = retries
        authorizations = [{"team_id": "T1", "user_id": BOT, "is_bot": True, "is_enterprise_install": False}]
        payload = {
            "token": "v",
            "team_id": "T1",
            "api_app_id": "A1",
            "type": "event_callback",
            "event": event,
            "event_id": f"Ev-{event['ts']}",
            "event_time": 1,
            "authorizations": authorizations,
        }
        envelope = {
            "envelope_id": f"env-{self.envelopes}",
            "type": "events_api",
            "payload": payload,
            "accepts_response_payload": False,
            "retry_attempt": retries,
            "retry_reason": "timeout" if retries else "",
        }
        self.connection.send(json.dumps(envelope))

    def receive(self, connection: ServerConnection, message: str | bytes) -> None:
        self.acks.append(json.loads(message)["envelope_id"])

    def is_acknowledged(self, message: str) -> bool:
        return f"env-{self.envelopes}" in self.acks

    def greet(self, connection: ServerConnection) -> None:
        connection.send(json.dumps({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A1"}}))
        self.connections.append(connection)

    def _who(self, body: Body, path: str) -> tuple[int, Body]:
        if body["headers"]["Authorization"] != f"Bearer {BOT_TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        return 200, {
            "ok": True,
            "url": self.url,
            "team": "T",
            "user": "bot",
            "team_id": "T1",
            "user_id": BOT,
            "bot_id": "B1",
        }

    def _open(self, body: Body, path: str) -> tuple[int, Body]:
        if body["headers"]["Authorization"] != f"Bearer {APP_TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        return 200, {"ok": True, "url": f"ws://127.0.0.1:{self.port}/link?ticket=ticket-1"}

    def _answered(self, body: Body, path: str) -> tuple[int, Body]:
        if self.is_failing:
            return 200, {"ok": False, "error": "channel_not_found"}
        ((section,),) = [block["elements"] for block in body["blocks"]]
        text = "".join(element["text"] for element in section["elements"])
        links = [element["url"] for element in section["elements"] if element["type"] == "link"]
        called = [element["type"] for element in section["elements"] if element["type"] not in ("text", "link")]
        called += re.findall("<[!@#][^>]*>", body["text"])
        self.replies.put(Reply(text, links, f"{body['channel']}/{body.get('thread_ts')}", called))
        return 200, {"ok": True, "channel": body["channel"], "ts": "9"}
