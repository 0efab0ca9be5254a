"""What English-speaking people write with the same words when they mean something else; a table.

The notation is that of `phrases`; words are in the spelling of `plain`.
"""

OTHER_USES = """
    bus/train/tram/coach/rest/pit/short/truck/lorry/whistle/last/first/next/full/non stop/stops
    one stop shop
    stop by/off/over/round/short/somewhere/outside/near/behind/overnight
    stop in to/for/at/on/and/tomorrow/later/after/when/if/some/any/sometime
    stop at the/a/my/your/nothing/our/sainsburys/tesco/home/work
    stop for a/some/tea/lunch/coffee/petrol/chips
    stop and think/look/listen/ask/chat/talk/search
    put/puts/putting a stop
    pull/pulled/pulling out all the stops
    < {dont} you? please? stop/stopping/give/quit
    {dont} want you/them/us to stop
    i dont want this/these/it to stop
    no need to stop/unsubscribe/remove
    cant/cannot/couldnt/wont/never/not/didnt/wouldnt/doesnt/hasnt/havent stop/stops/stopped ~1
        {going_on}
    < never stop {going_on}
    nothing/nobody will/can/could/to stop
    {dont} you? please? {leave_out} me/my/us off/out/from?
    {dont} you? please? {leave_out} me/us off {your}? {list_kind}? {list}
    want to miss
    dont forget
    {dont} text and drive
    if you dont {message_verb}/{call_verb} me/us about/back/by
    moved in/here
    moved to tears
    {subject} dont/do_not/never ~1 {message_verb}/{call_verb}
    no thanks to
    {place} has/have/is/was/been? been? moved
    keep/keeping/carry texting/messaging/sending/on

    end of
    {which_end} end
    in/at/by/towards/until the/no? end
    cancel culture
    quit smoking/drinking/vaping/my/the/his/her/their/college/school/work/uni/politics/while

    wrong number of
    wrong person/man/woman/one/people/guy for/to/in
    wont/never/not/doesnt/didnt/wouldnt leave ~1 alone
    wont/not/never/doesnt/dont/didnt go/going/goes away
    go/going/went/gone/be/get/getting away on/for/with/to/next/this/over/in/until/camping
    get/gets/got/getting lost in/on/at/trying/finding/going/easily
    shove/stick a/an/some
    opt/opted/opting out of ~1 {scheme}
    no contact from/with
    never/havent/not heard/hear back
    i/we object to/at/on the/a {plan}
    spam sandwich/fritters/fritter/egg/and/is
    removed/removing/taken/off from? the? {public_list} ~1 list/register/roll
    off the {public_list} ~1 list
    {way} is/are/was/were/been? blocked
"""
"""Phrases that are covered before the rules look."""
