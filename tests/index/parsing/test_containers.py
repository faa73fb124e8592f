from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from index.parsing import ReadText, Unread, contents, read
from tests.index.parsing.samples import TEXTS, TITLE, make_docx, make_eml, make_epub, make_zip


def found_in(name: str, data: bytes) -> dict[str, ReadText | Unread]:
    return {found.member: found for found in contents(Path(name), data)}


def test_members_are_documents():
    inner = make_zip({"b.txt": TEXTS[1].encode()})
    found = found_in("a.zip", make_zip({"x/a.docx": make_docx(), "b.zip": inner, "c.exe": b"MZ", ".DS_Store": b"x"}))
    assert list(found) == ["b.zip/b.txt", "c.exe", "x/a.docx"]
    assert found["b.zip/b.txt"].text == TEXTS[1]
    assert TEXTS[0] in found["x/a.docx"].text
    assert ".exe" in found["c.exe"].reason


def test_names_packed_on_chinese_windows(tmp_path):
    path = tmp_path / "a.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("XXXXXXXX.txt", TEXTS[0])
    data = path.read_bytes().replace(b"XXXXXXXX", "工作报告".encode("gbk"))
    assert list(found_in("a.zip", data)) == ["工作报告.txt"]


def test_paths_cannot_leave_the_archive():
    found = found_in("a.zip", make_zip({"../../etc/a.txt": b"x y z", "/b.txt": b"x y z"}))
    assert list(found) == ["b.txt", "etc/a.txt"]


def test_a_bomb_is_not_unpacked():
    (found,) = found_in("a.zip", make_zip({f"{n}.txt": bytes(20 << 20) for n in range(3)})).values()
    assert "zip bomb" in found.reason


def test_messages_and_what_is_attached():
    found = found_in("a.eml", make_eml(files={"报告.docx": make_docx(), "表/1.exe": b"MZ"}))
    assert list(found) == ["", "报告.docx", "表_1.exe"]
    head = f"# {TITLE}\nFrom: 王小虎 <wang@example.com>\nDate: Thu, 12 Jan 2006 09:00:00 +0800\n\n"
    assert found[""].text == head + "\n\n".join(TEXTS)


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "gb18030"])
def test_mail_encodings(charset):
    head = f"Subject: =?{charset}?B?uaS74Q==?=\nContent-Type: text/html; charset={charset}\n\n".encode()
    found = read(Path("a.eml"), head + f"<p>{TEXTS[0]}</p>".encode(charset))
    assert TEXTS[0] in found.text


def test_chapters_in_reading_order():
    assert read(Path("a.epub"), make_epub()).text == f"# {TITLE}\n\n{TEXTS[0]}\n\n{TEXTS[1]}"


def test_protected_books_are_told():
    book = make_zip({"META-INF/container.xml": b"<x/>", "META-INF/rights.xml": b"<x/>"})
    (found,) = found_in("a.epub", book).values()
    assert "DRM" in found.reason
