"""What a question asks for: the kind of answer, its unit, the words that matter, the names that must appear."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from index.retrieval.query import Query, read_query
from index.text.dates import MODERN_YEAR
from index.text.fold import fold_text
from index.text.names import OFFICES, PLACE_KIND, VAGUE_PLACE
from index.text.quantities import COUNT_UNITS, quantities
from index.text.scripts import HAN, KANA, ONE_TO_TEN
from index.text.segmenter import PLAIN, Segmenter, Synonyms
from index.text.tokens import words

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
_COUNTED_IN = "|".join(unit for unit in COUNT_UNITS.split("|") if unit not in ("万", "亿"))
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
            f"多少(?:亿|万)?+(?!{_COUNTED_IN}|{CLASSIFIER})",
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
            f"(?:{OFFICES}|长|人|同志|先生|女士)(?:叫|的名字|姓|名叫)",
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
_KANA = re.compile(f"[{KANA}]")

_ASKING = re.compile(
    "请问|我想知道|想问一下|告诉我|多少|几(?=[个名家位项件条种份次回场期篇户起天年岁届批人])|什么时候|甚么|什么"
    "|啥时候?|哪(?:一|些|几)?(?:个|位|家|年|种|样|天|里|份|部|条)?|怎么样?|怎样|如何|为什么|为何|为啥|谁|吗|呢|吧"
    "|是不是|有没有|是否|了没有|一共|总共|到底|具体|\\?|？"
    "|\\b(?:how many|how much|what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|the|a|an|of"
    "|in|to|for|and|on|by|with|from|at|has|have|had|that|this|there)\\b"
)
_HAN = re.compile(f"[{HAN}]")
_SMALL_NUMBERS = {char: value for value, char in enumerate(ONE_TO_TEN, start=1)} | {"两": 2}
_COUNTED = re.compile(
    f"(?:哪(?P<asked>[二两三四五六七八九十])(?:大|个|{CLASSIFIER}|方面)?|(?P<said>[二两三四五六七八九十])(?:大|个|{CLASSIFIER}|方面)"
    f'|[“"「『](?P<quoted>[二两三四五六七八九十])(?:大|个|{CLASSIFIER})?)(?P<counted>[{HAN}]{{0,4}})'
)
_ITEMS = re.compile("[^、,，。;；:：]{1,25}(?:、[^、,，。;；:：]{1,25})+")
_PLAIN_LIST_ITEMS = 3
_EXCLUDING = re.compile("别给|不要|不是|不算|不含|除外|排除|别的是|不是指|not |except|excluding")
_NAME_TAGS = frozenset({"nr", "nrt", "nrfg"})
# A word of letters, digits and hyphens with both letters and digits in it, or a year. What comes before is skipped
# for good (possessive), and a word is begun once: else a long one would be read anew from each of its characters.
_CODE = re.compile(
    "(?<![a-z0-9-])(?:[a-z]++(?!-?[0-9])|-)*+"
    "([a-z]++-?[0-9][a-z0-9-]*"  # gb18030, covid-19
    "|[0-9]++[0-9-]*+[a-z][a-z0-9-]*)"  # 3d, 2019-ncov
    f"|(?<![0-9])({MODERN_YEAR})(?=年|\\b)"  # 2019
)


@dataclass(frozen=True)
class Question:
    """A question and what can be told of it before any document is read.

    `wanted` is the part that asks; `excluded` are names that another part rules out (别给我武威的).
    """

    text: str
    wanted: str
    excluded: tuple[str, ...] = ()
    kind: Kind = "any"
    segmenter: Segmenter = PLAIN
    synonyms: Synonyms = Synonyms()

    @classmethod
    def of(cls, text: str, segmenter: Segmenter = PLAIN, synonyms: Synonyms = Synonyms()) -> Question:  # noqa: B008
        """Read a question as it was typed; `segmenter` is that of the documents."""
        wanted, excluded = _split_exclusion(fold_text(text).strip(), segmenter)
        return cls(text, wanted, excluded, kind_of(wanted), segmenter, synonyms)

    @cached_property
    def topic(self) -> str:
        """The words that matter: the wanted part without the words that only ask."""
        return " ".join(_ASKING.sub(" ", self.wanted).split())

    @cached_property
    def subject(self) -> str:
        """What a definition is asked of."""
        return re.sub("^是|的?是?$", "", self.topic)

    @cached_property
    def query(self) -> Query:
        """The wanted part as it is searched for."""
        return read_query(self.wanted, self.topic, self.segmenter, self.synonyms)

    @property
    def terms(self) -> list[str]:
        """The topic's words of two characters or more, distinct, in order; a word that has synonyms is not cut up."""
        return self.query.terms

    @cached_property
    def places(self) -> list[str]:
        """Places, organisations, years and codes that are surely meant: an answer's article must mention them."""
        known = [
            PLACE_KIND.sub("", word)
            for word, _ in self.query.tagged
            if word in self.query.known and not VAGUE_PLACE.fullmatch(word)
        ]
        codes = [match[1] or match[2] for match in _CODE.finditer(self.wanted)]
        return list(dict.fromkeys([*known, *codes]))

    @cached_property
    def names(self) -> list[str]:
        """`places`, and words that may be names of people or things: an answer's article had better mention them."""
        query = self.query
        guessed = [
            word
            for word, tag in query.tagged
            # A place that the dictionary doesn't have may be another one, written wrongly.
            if len(word) > 1 and (tag in _NAME_TAGS or (tag == "ns" and word not in query.known))
        ]
        if _HAN.search(self.wanted):
            guessed.extend(word for word in query.latin if len(word) > 1)
        return list(dict.fromkeys([*self.places, *guessed, *query.readings]))

    @cached_property
    def unit(self) -> str:
        """The unit in which the answer is counted; empty where the question doesn't say."""
        if self.kind == "duration":
            match = re.search("(?:多少|几)个?(年|月|天|小时|分钟|周|星期|工作日)", self.wanted)
            return match[1] if match else ""
        if self.kind != "count":
            return ""
        if match := re.search(f"(?:多少|(?<!哪)几)({COUNT_UNITS})(?![庭目数长属])", self.wanted):
            return match[1]
        if "人次" in self.wanted:
            return "人次"
        if re.search(f"多少[^,，。?？]{{0,6}}?(?:{PEOPLE})|(?:{PEOPLE})[^,，。?？]{{0,6}}多少|人数", self.wanted):
            return "名"
        return "次" if "次数" in self.wanted else ""

    @cached_property
    def asks_quantity(self) -> bool:
        """Whether only a number, sum, share or date answers."""
        return self.kind in ("count", "money", "share", "date", "time", "duration")

    @cached_property
    def how_many(self) -> int | None:
        """How many parts the list that is asked for has, where the question says so: 哪五句话, 四个窗口."""
        match = _COUNTED.search(self.wanted) if self.asks_list else None
        return _SMALL_NUMBERS[match["asked"] or match["said"] or match["quoted"]] if match else None

    @cached_property
    def counted(self) -> str:
        """The word that `how_many` counts, without what asks; empty where it isn't told."""
        match = _COUNTED.search(self.wanted)
        counted = (
            [word for word in words(_ASKING.sub(" ", match["counted"]), self.segmenter) if len(word) > 1]
            if match
            else []
        )
        return counted[0] if counted else ""

    @cached_property
    def asks_list(self) -> bool:
        """Whether an enumeration answers."""
        if self.kind == "list":
            return True
        is_one = re.search(f"哪一?(?:{CLASSIFIER}|里|国)", self.wanted)
        return self.kind in ("definition", "any") and not is_one and bool(_COUNTED.search(self.wanted))

    @cached_property
    def asks_name(self) -> bool:
        """Whether only a name answers."""
        return self.kind in ("person", "organisation")

    @cached_property
    def asks_ordinal(self) -> bool:
        """Whether a rank or an ordinal answers."""
        return bool(re.search("第几|前(?:多少|几)", self.wanted))

    @cached_property
    def is_open(self) -> bool:
        """Whether it asks for a figure of whatever kind: 不得低于多少."""
        return not self.unit and bool(re.search("多少(?:呢|啊|了)?$", self.wanted.rstrip("?。. ")))

    @cached_property
    def mentioned(self) -> set[str]:
        """The quantities that the question itself mentions."""
        return {quantity.text for quantity in quantities(self.wanted)}


def _split_exclusion(folded: str, segmenter: Segmenter) -> tuple[str, tuple[str, ...]]:
    """The parts of a question that ask, and the names in the parts that exclude."""
    parts = re.split("(?<=[,，。;；?？])", folded)
    excluding = [part for part in parts if _EXCLUDING.search(part) and not re.search("是不是|要不要", part)]
    asking = [part for part in parts if not (_EXCLUDING.search(part) and not re.search("是不是|要不要", part))]
    if not excluding or not "".join(asking).strip(" ,，"):
        return folded, ()
    names = [word for part in excluding for word, tag in segmenter.tag(part) if tag in _NAME_TAGS and len(word) > 1]
    return "".join(asking).strip(" ,，"), tuple(dict.fromkeys(names))


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
