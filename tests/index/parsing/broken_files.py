"""Makes 500 files that break readers: `python -m tests.index.parsing.broken_files FOLDER`.

Everything is made from a fixed seed. Nothing here is larger on disk than a few megabytes: the 300 MB text is sparse.
"""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.index.parsing.samples import make_docx, make_eml, make_pdf, make_zip, samples

COUNT = 500
_SEED = 20260104
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def make_broken_files(folder: Path) -> list[Path]:
    """Write the files into `folder`; their paths, links and odd ones included."""
    made: list[Path] = []
    for name, data in [*_contents(), *_names()]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made.append(path)
    made += _odd_files(folder)
    chance = random.Random(_SEED)
    sound = list(samples().items())
    while len(made) < COUNT:
        suffix, data = sound[len(made) % len(sound)]
        path = folder / f"flipped-{len(made):03}{suffix}"
        path.write_bytes(_flipped(data, chance))
        made.append(path)
    return made


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 5, 50))):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return bytes(broken)


def _contents() -> Iterator[tuple[str, bytes]]:
    chance = random.Random(_SEED)
    sound = samples()
    for suffix, data in sound.items():
        for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
            yield f"cut-{share}{suffix}", data[: int(len(data) * share)]
        for number, length in enumerate((1, 10, 1000, 100_000)):
            yield f"random-{number}{suffix}", chance.randbytes(length)
        yield f"empty{suffix}", b""
        yield f"nul{suffix}", bytes(5000)
        for other in sound:
            if other != suffix:
                yield f"{suffix[1:]}-named{other}", data
    for suffix in (".doc", ".xls", ".ppt", ".wps", ".et", ".rtf", ".rar", ".7z", ".png", ".jpg", ".caj"):
        yield f"old{suffix}", _OLE + chance.randbytes(3000)
        yield f"nothing{suffix}", chance.randbytes(500)
    yield from _protected(sound)
    yield from _bombs()
    yield from _nested()


def _protected(sound: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield "password.pdf", make_pdf(password="secret")
    for suffix in (".docx", ".xlsx", ".pptx"):
        yield f"password{suffix}", _OLE + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(3000)
    locked = bytearray(sound[".zip"])
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := locked.find(signature, at + 1)) >= 0:
            locked[at + offset] |= 1
    yield "password.zip", bytes(locked)


def _bombs() -> Iterator[tuple[str, bytes]]:
    zeros = bytes(10 << 20)
    yield "bomb.zip", make_zip({f"{number}.txt": zeros for number in range(30)})
    matryoshka = make_zip({"a.txt": b"inside"})
    for _ in range(20):
        matryoshka = make_zip({"inner.zip": matryoshka})
    yield "matryoshka.zip", matryoshka
    yield "many.zip", make_zip({f"{number}.txt": b"x" for number in range(21_000)})
    yield "liar.zip", _lying(make_zip({"a.txt": zeros}))
    body = f"<w:document {_W}><w:body><w:p><w:r><w:t>{{}}</w:t></w:r></w:p></w:body></w:document>"
    yield "bomb.docx", _part("word/document.xml", body.format(" " * (60 << 20)).encode())
    laughs = "<!DOCTYPE x [" + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "哈"}">' for n in range(12))
    yield "laughs.docx", _part("word/document.xml", (laughs + "]>" + body.format("&l11;")).encode())
    yield (
        "outside.docx",
        _part(
            "word/document.xml",
            ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + body.format("&e;")).encode(),
        ),
    )
    yield "bomb.pdf", _pdf_bomb()
    yield (
        "loop.pdf",
        (
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
            b"2 0 obj<</Type/Pages/Count 1000000/Kids[2 0 R 2 0 R]>>endobj\ntrailer<</Root 1 0 R>>"
        ),
    )
    yield "wide.csv", b",".join([b"x"] * 1_000_000) + b"\n1,2\n"
    yield "quote.csv", b'a,b\n"' + b"x" * 2_000_000
    yield "long-line.txt", "没有标点".encode() * 300_000


def _nested() -> Iterator[tuple[str, bytes]]:
    for tag in ("div", "table", "b", "ul"):
        yield f"deep-{tag}.html", f"<{tag}>".encode() * 100_000 + "工会".encode()
    yield "deep.md", b"> " * 100_000 + "工会".encode()
    yield "brackets.txt", "（".encode() * 200_000
    deep = "<w:tbl><w:tr><w:tc>" * 2000 + "</w:tc></w:tr></w:tbl>" * 2000
    yield "deep.docx", _part("word/document.xml", f"<w:document {_W}><w:body>{deep}</w:body></w:document>".encode())
    message = make_eml()
    for _ in range(200):
        message = b"Subject: x\nContent-Type: message/rfc822\n\n" + message
    yield "deep.eml", message
    yield "attached.eml", make_eml(files={f"{number}.zip": b"PK\x03\x04" + bytes(20) for number in range(5)})
    parts = b"".join(b"--b\nContent-Type: multipart/mixed; boundary=b\n\n" for _ in range(2000))
    yield "parts.eml", b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + parts


def _names() -> Iterator[tuple[str, bytes]]:
    text = "工会会员名单。".encode()
    yield "two\nlines.txt", text
    yield "🙂 emoji 👩‍👩‍👧.txt", text
    yield "\x1b[31mred\x07.txt", text
    yield "-rf --help.txt", text
    yield "x" * 250 + ".txt", text
    yield "right-\u202eleft.txt", text
    yield "空 格\t制表.html", b"<p>" + text
    yield "%s {0} $HOME `id`.txt", text
    yield "/".join(["deep"] * 60) + "/bottom.txt", text
    yield "a.zip/not an archive.txt", text
    yield "no suffix", text
    yield "program.exe", b"MZ" + bytes(100)


def _odd_files(folder: Path) -> list[Path]:
    made = [folder / name for name in ("self.txt", "ping.txt", "pong.txt", "lost.txt", "up", "pipe.txt", "out.txt")]
    itself, ping, pong, lost, up, pipe, out = made
    itself.symlink_to(itself.name)
    ping.symlink_to(pong.name)
    pong.symlink_to(ping.name)
    lost.symlink_to("nowhere.txt")
    up.symlink_to("..", target_is_directory=True)
    out.symlink_to("/etc/hostname")
    os.mkfifo(pipe)
    sparse = folder / "sparse.txt"
    with sparse.open("wb") as file:
        file.truncate(300 << 20)
    raw = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe-name.txt"))
    raw.write_bytes("工会。".encode())
    return [*made, sparse, raw]


def _part(name: str, data: bytes) -> bytes:
    """A Word document with one of its parts replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make_docx())) as sound, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as broken:
        for info in sound.infolist():
            broken.writestr(info.filename, data if info.filename == name else sound.read(info))
    return out.getvalue()


def _lying(archive: bytes) -> bytes:
    """An archive that says of its one member that it is small."""
    directory = archive.rfind(b"PK\x01\x02")
    return archive[: directory + 24] + struct.pack("<I", 100) + archive[directory + 28 :]


def _pdf_bomb() -> bytes:
    packed = zlib.compress(zlib.compress(bytes(200 << 20), 9), 9)
    return b"".join(
        (
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n",
            b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n",
            b"4 0 obj<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n" % len(packed),
            packed,
            b"\nendstream endobj\ntrailer<</Root 1 0 R>>",
        )
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    print(len(make_broken_files(target)), "files in", target)
