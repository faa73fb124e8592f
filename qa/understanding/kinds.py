"""What kind of answer a question asks for, by the words that give it away in Chinese, English and Japanese."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from index.text.quantities import COUNT_UNITS

Kind = Literal[
    "count",
    "money",
    "share",
    "date",
    "time",
    "duration",
    "person",
    "organisation",
    "place",
    "list",
    "yesno",
    "definition",
    "reason",
    "any",
]

PEOPLE = (
    "人|学生|职工|工人|员工|孩子|子女|儿童|会员|农民工|教师|老师|干部|党员|劳模|青年|妇女|老人|居民|村民|代表|委员"
    "|专家|学员"
)
CLASSIFIER = (
    "人次|个|名|家|位|项|件|条|种|类|份|次|回|场|期|篇|所|座|间|户|起|天|年|岁|届|批|人|门|部|处|级|档|层|台|套|支"
    "|张|句|样"
)
# What is counted in one of these is not money, whatever the verb: 收藏了多少册.
_COUNTED = "|".join(unit for unit in COUNT_UNITS.split("|") if unit not in ("万", "亿"))
_MONEY_NOUN = "资金|经费|善款|款项|助学金|补助金|慰问金|奖金|费用|贷款|税"
# Kinds of question and what gives them away in folded text. The first kind that fits decides.
_KINDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (
        "share",
        (
            "多大比例|百分之几|占比|百分比|比例是多少|(?<![功频汇速])率(?:是|为|达到?)?多少|增长(?:了)?多少|多少个百分点",
            "what (?:share|percent|proportion)|by how much",
        ),
    ),
    (
        "money",
        (
            "(?<![哪好])几(?:块|万?元|亿元)|多少(?:块?钱|资金|经费|款|元|万元|亿元|善款|奖金|助学金|补助|补贴|投资)",
            "(?:花|筹|募|捐|投|拨|发|退|返|收|补贴?|资金|善款|金额|经费|总额|gdp|收入|奖)[^,，。?？]{0,12}"
            f"多少(?:亿|万)?+(?!{_COUNTED}|{CLASSIFIER})",
            f"多少[^,，。?？]{{0,6}}(?:{_MONEY_NOUN})",
            "how much (?:money|did|was|were|is|funding)",
        ),
    ),
    (
        "date",
        (
            "哪一?年|何年|(?:[公西]元|[在于是])几年|什么时候|甚么时候|啥时候?|何时|几月|几号|哪一?天|哪一?月|哪个月|什么日期|多会儿",
            "(?:^|[,;:] )when (?!you|he|she|it|they|we|i )|wh(?:at|ich) (?:year|date|day|month)|since which",
        ),
    ),
    ("time", ("几点|什么钟点|what time",)),
    (
        "duration",
        (
            "多久|多长时间|(?:多少|(?<![哪这那好近前])几)个?(?:半?年|月|天|小时|钟头|分钟|周|星期|工作日)(?![度级份])",
            "how long (?:does|do|did|will|has|have)|how many (?:years|months|days|hours|minutes|weeks)",
        ),
    ),
    (
        "count",
        (
            "有?多(?:重|长|高|大|远|宽|深|厚)(?![的家])",
            f"多少|(?<![哪这那好近前])几(?:{CLASSIFIER}|{COUNT_UNITS}|百|千|十)|第几|人数|次数|数量|数目|总数|人次|电话|号码",
            "how (?:many|often|old|tall|far|deep|high|wide|heavy|fast|big|large)|what number|number of",
        ),
    ),
    (
        "person",
        (
            "谁|哪(?:一)?位|哪一?个人(?![口数员])|何人|哪几位|哪些人|姓名",
            "(?:书记|主席|主任|长|人|同志|先生|女士|记者|作者|教授|代表|经理)(?:叫|的名字|姓|名叫)",
            "(?:^| )who |whose |whom ",
        ),
    ),
    (
        "organisation",
        (
            "哪(?:一)?[家个](?:单位|公司|企业|部门|机构|组织|集团|学校|医院|银行|协会|镇|县|市|省|区)|哪家",
            "(?:哪些|什么)(?:单位|公司|企业|部门|机构|组织)",
            "which (?:company|organi[sz]ation|union|department|agency|firm)",
        ),
    ),
    ("place", ("哪里|哪儿|何处|在哪$|什么地方|哪一?个(?:地方|国家|城市|省|市|县|区)|哪国", "(?:^| )where ")),
    (
        "yesno",
        (
            "吗$|是不是|有没有|是否|能不能|会不会|可不可以|了没有?$|没有$",
            "^(?:is|are|was|were|does|do|did|has|have|can) ",
        ),
    ),
    ("reason", ("为什么|为何|为啥|怎么|怎样|如何|凭什么|原因|理由", "why |how ")),
    ("list", (f"哪些|哪[几二两三四五六七八九十](?:{CLASSIFIER})?|有什么|都有|包括", "which |what are")),
    ("definition", ("是什么|什么是|什么意思|指什么|是指|含义|定义", "what is|what does")),
)
# Folded to Simplified characters, as all text is: 何時 is 何时, 誰 is 谁.
_JAPANESE_KINDS: tuple[tuple[Kind, str], ...] = (
    ("time", "何时[にからまでご]|何时まで"),
    ("date", "いつ|何年|何月|何日|何曜"),
    ("money", "いくら|何円"),
    ("duration", "何(?:年|か月|ヶ月|周|日|时)间|どのくらいの期间"),
    ("count", "何[人名册本枚个件回台头校社点]|いくつ|どれだけ|どのくらい"),
    ("person", "谁|だれ|どなた"),
    ("place", "どこ|どちら"),
    ("reason", "なぜ|どうして|どのように"),
    ("definition", "とは|何ですか"),
)
_KANA = re.compile("[\u3040-\u30ff]")


def kind_of(folded: str) -> Kind:
    """The kind of a folded question; `any` where nothing tells."""
    bare = folded.rstrip("?？。.!！ ")
    if _KANA.search(bare):
        return next((kind for kind, pattern in _JAPANESE_KINDS if re.search(pattern, bare)), "any")
    return next((kind for kind, patterns in _KINDS if _pattern(patterns).search(bare)), "any")


@cache
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # Kept here: Python keeps few, and lets go of them when others compile theirs.
    return re.compile("|".join(patterns))
