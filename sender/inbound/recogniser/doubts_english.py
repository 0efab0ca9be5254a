"""What English-speaking people write when they may want no more; tables.

The notation is that of `phrases`; words are in the spelling of `plain`.
"""

DOUBTS = {
    "no-message": """
        {any_no} ~5 {contact_word}/number/mobile
        {contact_word} ~5 {any_no}
        off/from ~2 your/the/this/whatever/that ~2 {list}
        your ~2 {list}
    """,
    "not-interested": """
        not/isnt/arent/aint/no_longer/never/wasnt/lost/no/zero/un ~1 interested/interest
        uninterested
        < no thanks/thank_you/ta/cheers/thankyou
        < {ask}? rather not/you_didnt
        id/would rather not/you_didnt
        < not for me
        not for me >
        wrong party
        {dont} want to >
        < not today
        < please dont >
        {dont} bother >
    """,
    "who-are-you": """
        why/y ~1 are/did/do/have/am/is/was/keep/would/r ~2 you/i/we/my ~3 {texting}/
            {sending}/text/texted/contact/got/received/message/have/has
        how ~1 did/do/have/come/has/are ~2 you/they/u ~2 get/got/have/find/know/obtain ~3 {details}
        how come ~2 have/got ~2 number/details/name
        where ~1 did/do/have ~1 you/they ~1 get/got/find ~3 {details}
        who gave/give/gives/sold you/them
        whos/who_is/who_are/who_r this/you/that/it texting? >
        who this >
        real person/human/people
        a bot/robot/computer
        automated
        didnt/never/not ask/asked >
        < who the hell/fuck
        what/whats is? this about/for? >
        is/was this ~1 a? spam/scam/legit/real/genuine/phishing
        permission ~4 number
        have/had ~1 my permission/number/consent
        gdpr
        tps
        {any_no} ~2 {details} >
        ico
        data protection
        privacy
    """,
    "moved": """
        i/ive/we/weve/he/she/hes/shes/have/has/they/just moved {going}
        i/ive/we/weve/he/she/hes/shes ~1 have/has? ~1 moved >
        i/ive/we/weve/he/she/have/has ~1 moved {since}
        < moved {going}
        no longer live/lives/living/resident/here/at/reside/work/works
        dont/doesnt/do_not live/work/lives there/here/in/at ~3 any_more/now/the/your
        dont/doesnt live there/here
        used to live
        < i/we live in ~2 now
        not in your/the/that area/constituency/ward/town >
        not your constituent/voter/supporter
        {not} ~1 constituent
        left the area/country/town/constituency/ward
        moved/left abroad
        emigrated
    """,
    "died": """
        {relation} ~2 died/passed >
        {relation} ~2 died/passed {since}
        has/have/sadly/just/recently died
        passed away
        {relation} ~1 passed on
        deceased
        {relation} ~2 dead
        bereaved/bereavement
        {not} with us any more
        {relation} late husband/wife/mother/father
    """,
    "left": """
        {not} ~1 a ~1 member/supporter/donor/volunteer/voter
        resigned/left/quit/leaving/quitting ~2 party/membership
        cancelled/cancelling/cancel/resign/ended ~1 my ~1 {support}
        under 18/age/sixteen/eighteen
        im/i_am ~1 10/11/12/13/14/15/16/17 >
        underage
        a/my/works/work/business/office/company landline/work_phone/business_phone/work_number
        work/works/business/company phone/mobile/number
        landline
        exdirectory/ex_directory
    """,
    "fed-up": """
        too many/much {message}
        another {message}
        second/third/fourth/fifth/sixth/2nd/3rd/4th/5th/6th {message}
        how many {message}
        sick/tired/fed and? tired/up? of/with ~1 this/these/it/you/your/{message}/getting/being >
        sick/tired of/with this/these/you/your/it >
        sick/tired/fed of/up ~1 of/with? your/these/getting
        give it a rest
        pack it in
        knock it off
        give over
        do me a favour
        enough already
        enough of/with this/these/you/it >
        enough of/with {your}/these {message}
        shut up
        < shut it >
        shut the fuck
        bit much
        get a life/grip
        get/take the hint
        another one of these/those/them
        not a fan
        intrusive
        do not disturb
        how many times do/must/have/shall i
        dont/do_not/didnt/not ~1 need/like/appreciate {this} >
    """,
    "swearing": """
        {swearing}
        wank/wanking
    """,
    "stop-unclear": """
        < {ask}? stop it/him/her/that >
        it/this/they/that ~1 has/have/must/needs/need/should to? stop >
        when ~3 stop >
        < {ask} {ask}? stop {names}? # >
        < {ask}? end/cancel it/this/that >
        < {ask} ~1 cancel >
        < {ask} ~1 end >
        not/dont/no want/need {your}? leaflets/leaflet/junk/post/visits/canvassers
    """,
}
"""By the name of the rule: phrases that may be a wish to be left alone, anywhere in a message."""

DOUBTS_ALONE = {
    "short-no": """
        < no/nope/nah/never/nay/naa/negative no? no? >
        < no way/chance/ta/interest >
        < dont/not/pass/yawn/boring/enough/why/bye/goodbye/finished >
        < enough is enough >
        < quit/stop/end/cancel it/that >
        < not me >
        < no not/i dont? want/me >
        < ugh/eww/yuck/rubbish/piss >
        < moved >
        < died/dead >
    """,
}
"""Phrases that may be a wish to be left alone when they are the whole message."""
