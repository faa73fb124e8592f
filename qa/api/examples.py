"""The canonical question's response, as the OpenAPI page shows it; a test compares it with the real one."""

from __future__ import annotations

from qa.answering.links import passage_link
from qa.schemas import EXAMPLE_QUESTION, AnswerOut, AskResponse, Citation, HitOut, IndexOut

_DOCUMENT = "08a5526a5db351bb"
_PATH = "seeds/000_ae71b4d254c1ee34.txt"
_TITLE = "沿着中国特色社会主义工会道路前进 ——兰州市总工会改革发展纪实"
_QUOTE = "开展“金秋助学”活动,帮助1097名困难家庭子女圆了大学梦,发放助学金260多万元"
_START = 6409
_END = _START + len(_QUOTE)

EXAMPLE_RESPONSE = AskResponse(
    id="827fbe85044d4cd8a07fb8c18c4f0036",
    query=EXAMPLE_QUESTION,
    status="answered",
    reason=None,
    answer=AnswerOut(text=_QUOTE, value="1097名", confidence=0.81),
    citations=[
        Citation(
            n=1,
            document_id=_DOCUMENT,
            path=_PATH,
            title=_TITLE,
            heading_path=["拓展领域,真情服务"],
            page=None,
            paragraph=41,
            start=_START,
            end=_END,
            quote=_QUOTE,
            url=passage_link(_DOCUMENT, _START, _END),
        )
    ],
    hits=[
        HitOut(
            rank=1,
            score=2.1181,
            passage_id=f"{_DOCUMENT}-37",
            document_id=_DOCUMENT,
            collection="seeds",
            path=_PATH,
            title=_TITLE,
            heading_path=["拓展领域,真情服务"],
            page=None,
            paragraph=41,
            start=_START,
            end=_END,
            text=_QUOTE,
            highlights=[(_START, _END)],
            also_in=[],
        )
    ],
    index=IndexOut(generation=5, model="bundled", passages=250),
    timings_ms={"total": 3.1},
)
