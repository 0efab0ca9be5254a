"""The wordings by which `kind_lint` knows marketing, in English and Welsh.

All are matched against one sentence in small letters without accents; `NAME` stands for a name of
the sender's own.
"""

import re
from typing import Final

NAME: Final = "ownname"


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})")


_US: Final = rf"(?:us|me|our|my|{NAME})\b"
_A_PARTY: Final = (
    r"(?:the )?(?:labour|conservatives?|tor(?:y|ies)|lib(?:eral)? dem\w*|greens|green party"
    r"|reform uk|snp|plaid|ukip|dup|sdlp|sinn fein)\b"
)
_A_SEAT: Final = r"(?:mp|msp|ms|mla|councillor|cllr|mayor)\b"
_A_HOUSE: Final = r"(?:westminster|parliament|holyrood|the senedd|stormont|city hall)\b"
_SOMEBODY: Final = (
    r"(?!(?:regard|respect|your?|it|this|that|these|those|the|an?|one|all|each|any|every|sure)\b)"
    r"\w+"
)
_FEW: Final = r"(?:[\w',-]+ ){0,6}?"
_SUM: Final = r"(?: of £ ?[\d.,]+\d)?"
_GIFT: Final = r"(?:donation|gift|contribution|payment|pledge|direct debit|standing order)s?\b"

NO_ASKS: Final = (
    # Questions about what people did or would do, which a survey asks (¶18).
    _words(rf"(?:which|what) (?:political )?(?:party|parties|candidates?|way) {_FEW}"
           r"vot(?:e|ed|ing)\b(?: for)?(?! (?:us|me)\b)"),
    _words(rf"(?:how|whether|did|when) (?:likely |often |did |do |will |would |are )?{_FEW}you "
           rf"(?:\w+ ){{0,3}}?vot(?:e|ed|ing)\b(?! (?:for )?{_US})"),
    _words(r"(?:how|whether|did|when|where) (?:did |do |will )?you (?:\w+ )?cast your ballot\b"),
    _words(rf"(?:do|would|did|how (?:strongly|far|much) do|to what extent do) you "
           rf"(?:\w+ )?support\b(?: or oppose)?(?! {_US})"),
    _words(r"(?:strongly |tend to |somewhat )?(?:support|oppose)(?: strongly)?(?:,| or|/) "
           r"(?:strongly |tend to |somewhat )?(?:support|oppose)\b"),
    _words(r"(?:have|did) you (?:ever )?(?:donated?|given? money|g[ai]ve money)\b"),
    # Help, not backing.
    _words(r"(?:customer|technical|it|member|user|our) support (?:team|desk|line|staff)\b",
           r"(?:customer|technical) support\b",
           r"support (?:ticket|team|desk|line|services?|groups?|workers?|bubbles?)\b"),
    # What was given, and what became of it.
    _words(rf"(?:received|recorded|refunded|returned|cancelled|receipt for|thank you for) "
           rf"(?:your |the |a )?(?:recent |last |monthly )?{_GIFT}{_SUM}"),
    _words(rf"your (?:recent |last |monthly )?{_GIFT}{_SUM} (?:has been|was|were|is now) "
           r"(?:received|recorded|refunded|returned|cancelled|stopped|changed|taken)\b"),
)  # fmt: skip
"""Wordings that speak of voting, giving or supporting and ask for nothing."""

ASKS: Final = {
    "votes": _words(
        r"(?:out|post|re|pre)?vot(?:e|es|ed|er|ers|ing)\b", r"re-?elect\w*",
        r"elect\b", r"ballot box", r"put an x\b", r"x in the box", r"at the polls\b",
        r"(?:cast|mark|use|fill in) (?:your|a|the) ballot", r"your (?:x(?![- ]?ray)|cross)\b",
        r"(?:put|place|mark) (?:an?|your) (?:x|cross|tick) (?:by|for|next to|beside|against) "
        rf"{_SOMEBODY}",
        rf"(?:tick|cross) the box (?:for|next to|beside) {_SOMEBODY}",
        rf"give {_SOMEBODY} (?:\w+ ){{0,3}}?your (?:first|second|top) preference",
        rf"(?:make|return|send|keep) {_SOMEBODY} (?:\w+ )?(?:as (?:your |our |the |an? )?(?:next )?"
        rf"|(?:your|our|the) next ){_A_SEAT}",
        rf"(?:return|send) {_SOMEBODY} (?:\w+ )?(?:back )?to {_A_HOUSE}",
        rf"keep {_SOMEBODY} (?:\w+ )?in office\b", r"turn out (?:for|on)\b",
        rf"^(?:so |please |this time )*(?:choose|pick|back|trust) {_A_PARTY}",
        rf"(?:kick|get|throw|boot|drive|turf|keep|chuck) {_A_PARTY} out\b",
        rf"(?:beat|defeat|oust|stop|don't let|say no to) {_A_PARTY}",
        rf"{_A_PARTY} (?:can't|cannot|can not|won't) win\b", r"two[- ]horse race",
        r"only \w+ can (?:beat|win|stop|defeat)\b", r"bwri\w* (?:eich|dy) bleidlais",
        r"[pbm]h?leidlei\w+", r"[pbm]h?leidlais\w*",
    ),
    "money": _words(
        r"donat\w+", r"donor\w*", r"fund-?rais\w*", r"crowd-?fund\w*", r"chip in\b", r"gift aid\b",
        r"pledg\w+", r"raise (?:money|funds|£|the money|another)", r"sponsor (?:me|us|our|a|an)\b",
        r"give (?:£|\d|today|now|generously|what you can|as little|a gift|money|monthly|regularly"
        rf"|to (?:{_US}|the)|{_US} (?:£|\d|money))",
        r"contribut\w+ (?:£|\d|to (?:our|the|my|this)|today|now)", r"contribution\w*",
        r"(?:our|the|this) (?:\w+ )?appeal\b(?! (?:against|hearing|court|panel))", r"war chest",
        r"pay (?:£|now|today|here|your subs)", r"(?:set up|start) (?:a|your) (?:\w+ )?"
        r"(?:direct debit|standing order)", r"(?:gift|something|money|us) in your will\b",
        r"leave (?:us )?a (?:gift|legacy)", r"raffle\w*", r"buy (?:a |your |our |some )",
        r"fivers?\b", r"tenners?\b", r"can you spare\b", r"dig deep\b", r"whip-?round", r"coffers",
        r"every (?:pound|penny|little|£\d+) (?:helps|counts)", r"become a patron",
        r"(?<!we )(?<!will )(?<!'ll )(?:transfer|send) (?:us )?£", r"in your will\b",
        rf"(?:fund|finance|bankroll|invest in) (?:{_US}|the campaign|leaflets)",
        r"(?:buy|treat|paypal) us\b", r"text \w*(?:give|gift|donat|fund)\w* to\b",
        r"(?:we are|we're|is) short of (?:money|cash|funds)", r"paypal me\b", r"justgiving",
        r"gofundme", r"patreon", r"buymeacoffee", r"ko fi\b", r"actblue", r"givebutter",
        r"rhodd\w*", r"c[hy]?yfran\w+", r"gyfran\w+", r"rhoi arian", r"rhowch (?:arian|£)",
    ),
    "support": _words(
        rf"support (?:{_US}|the (?:\w+ )?(?:campaign|party|candidate|team|appeal|cause))",
        r"(?:your|their|for) (?:continued |ongoing |loyal |kind )?support\b", r"supporters?\b",
        r"(?:needs?|want|seek|seeking|asking for|ask for|count on|rely on|show|offer) "
        r"(?:you\b|(?:\w+ ){0,2}support\b)",
        rf"back (?:{_US}|the (?:\w+ )?(?:campaign|party|candidate))", r"backing (?:us|our|me)\b",
        rf"(?:stand|side|campaign|fight|walk|march) (?:up )?(?:with|alongside|beside|behind) {_US}",
        rf"(?:stand|rally|unite) (?:with|behind|beside) {_SOMEBODY}", rf"are you with {_US}",
        r"get behind\b", r"need people like you", r"champion our cause", rf"endorse {_US}",
        r"(?:^|(?:will|can|could|please) (?:you )?)endorse\b", r"be one of us\b",
        r"(?:be|become) (?:a )?part of (?:it|our|the (?:team|campaign|movement))\b",
        r"sign (?:our|the|this|an) open letter", r"lend (?:us )?a hand\b",
        r"say yes to (?:us|me)\b",
        rf"join (?:{_US}|the (?:\w+ )?(?:campaign|party|fight|movement|team))",
        r"become (?:a |an )?(?:member|supporter|volunteer|activist|friend)",
        r"volunteer(?:s|ing)?\b", r"deliver(?:ing)? (?:\w+ )?(?:leaflets|letters)", r"canvass\w*",
        r"(?:come|go|out) leaflet\w+", r"(?:phone|door)-?(?:bank|knock)\w*",
        r"knock(?:ing)? (?:on )?(?:some |a few |our )?doors",
        r"petition\w*", r"add your name", r"spread the word",
        r"help (?:\w+ ){1,2}?(?:to )?(?:win|beat|defeat|oust|elect)\b",
        rf"help (?:{_US}|the \w+) (?:to )?(?:win|elect|beat|campaign|fight|defeat|keep|stop|get"
        r"|take|make|change|deliver|grow)",
        r"(?:wear|display|put up|put) (?:a|our|the) (?:badge|poster|board|sign)\b",
        r"on our side\b", r"show your (?:backing|colours)",
        r"(?:c|g|ch)efnog\w*", r"(?:y|i )?ymun\w* (?:a|gyda) ni", r"s[ae]fwch gyda",
    ),
}  # fmt: skip
"""No approval lifts these."""

SOFT: Final = {
    "mentions": _words(
        r"support\w*", r"poll(?:ing)? (?:day|stations?|cards?)", r"elections?\b", r"£ ?\d[\d.,]*",
        r"backing\b", r"endorse\w*", r"sort code", r"bank details", r"paypal",
        r"direct debit\w*", r"standing order\w*", r"referend\w+",
    ),
    "sign-ups": _words(
        r"sign(?:ing)? up\b", r"sign me up\b", r"subscribe\b",
        r"register (?:for|now|here|your|to)\b",
        r"rsvp\b", r"book (?:a|your|now|here)\b", r"renew\w*", r"come along\b", r"join\b",
        r"come to\b", r"attend\b", r"invit\w+", r"see you (?:at|there)", r"get involved\b",
        r"count me in\b", r"text (?!(?:stop|end|quit|cancel|unsubscribe|help)\b)\w+ to \d",
        r"(?:leave|give|send|tell) us your (?:e-?mail|number|details|address)", r"keep in touch\b",
        r"stay (?:in touch|informed|updated)", r"hear more from us",
        r"contact (?:us|me) (?:to|if)\b",
        r"cofrestr\w*", r"tanysgrif\w*",
    ),
    "promotion": _words(
        r"(?:special |great |latest |exclusive )?offers?\b", r"discount\w*", r"\d+ ?% off\b",
        r"free (?:gift|trial|copy|guide|ticket)", r"shop\b", r"sale\b", r"manifesto\w*",
        r"leaflets?\b", r"brochure\w*", r"newsletter\w*", r"exclusive\w*", r"don't miss\b",
        r"limited (?:time|edition)", r"(?:learn|find out|read|discover) (?:more|how|what)\b",
        r"our (?:plans?|record|achievements?|polic(?:y|ies)|campaigns?|priorities|candidates?"
        r"|vision|promises?|pledges?)\b", r"share this\b", r"forward this\b", r"tell your friends",
        r"promotional\b", r"follow us\b", r"like our page", r"click (?:here|below|the link)\b",
    ),
}  # fmt: skip
"""An approval with a reason lifts these."""

_PARTIES: Final = (
    r"labour(?: party)?", r"conservatives?(?: party)?", r"tor(?:y|ies)", r"lib(?:eral)? dem\w*",
    r"greens?(?: party)?", r"reform(?: uk)?", r"snp", r"scottish national party",
    r"plaid(?: cymru)?",
    r"sinn fein", r"dup", r"democratic unionist\w*", r"sdlp", r"uup", r"ulster unionist\w*",
    r"alliance party", r"alba", r"ukip", r"workers party", r"co-operative party", r"tuv",
)  # fmt: skip
_OFFICES: Final = (
    r"candidates?", r"councillors?", r"cllr", r"mp", r"msp", r"ms", r"mla", r"mayor(?:al)?",
    r"prime minister", r"party leader", r"parliamentary spokes\w+",
)  # fmt: skip
KNOWN_NAMES: Final = re.compile(rf"\b(?:{NAME}|{'|'.join((*_PARTIES, *_OFFICES))})\b")
"""Parties, holders of and candidates for office, and the sender's own name."""

CLAIM: Final = _words(
    r"(?:will|would|to|shall) (?:\w+ )?(?:cut|scrap|abolish|stop|end|build|protect|deliver|invest"
    r"|fix|save|fund|freeze|raise|ban|improve|restore|reopen|keep|fight|secure|create|reduce|lower)\b",
    r"(?:plans?|promis\w+|commit\w*|vows?|wants?|aims?|intends?) to\b",
    r"(?:has|have|had) (?:\w+ )?(?:cut|scrapped|delivered|saved|protected|built|secured|won|fixed"
    r"|invested|stopped|improved|failed|broken|raised|closed|wasted)\b",
    r"(?:can|can't|cannot|won't|don't let|only) (?:\w+ )?(?:win|beat|be trusted|be stopped)\b",
    r"fight(?:s|ing)? (?:for|against)", r"campaign(?:s|ed|ing)? (?:for|against)",
    r"stand(?:s|ing)? (?:up )?for", r"voted (?:for|against)", r"believes?\b", r"opposes?\b",
    r"working (?:hard )?(?:for|to)\b", r"on your side\b", r"our (?:nhs|streets|schools)\b",
    r"polic(?:y|ies)\b", r"better than\b", r"the only (?:party|candidate)",
)  # fmt: skip
"""What is said for or against a policy."""

PROMOTIONAL_LINK: Final = re.compile(
    r"[?&](?:utm_|fbclid|gclid|ref=|source=)"
    r"|/(?:join|shop|store|events?|news|campaigns?|manifesto|policies|offers?|sign-?up|get-?involved"
    r"|plan|candidates?|about-us)\b"
    r"|^(?:https?://)?(?:www\.)?(?:bit\.ly|tinyurl\.com|t\.co|goo\.gl|ow\.ly|lnkd\.in|rb\.gy|is\.gd"
    r"|facebook\.com|fb\.me|x\.com|twitter\.com|instagram\.com|tiktok\.com|youtube\.com|linktr\.ee"
    r"|threads\.net|bsky\.app)\b"
    r"|^(?:https?://)?[^/]*(?:vote|donat|elect|campaign|fundrais)"
)
"""Links to campaigning, to social media, through shorteners (nobody sees where), or tracked."""
