"""What English-speaking people write when they want no more; tables.

The notation is that of `phrases`; words are in the spelling of `plain`.
"""

STOPS = {
    "keyword": """
        < {ask}? stop stop? stop? >
        < stopall/unsubscribe/unsubscribing/optout >
        unsubscribe
        < stop all/now/this/these/them/that/here/everything >
        < {ask} {ask}? stop >
        < reply/text/send/type/texting to? stop >
        < stop stop
        < to stop >
        < stop to? # >
        < stop to end/opt/unsubscribe/quit
        stop ffs/please/pls/plz/now/immediately/thanks/asap/mate/x/sarah >
        please/so/and/but/just/said/say/now/again/voted/kindly/time/no stop >
        why/please ~1 dont/cant/wont you ~1 stop >
        wont/cant you stop >
        stop means stop
        < stop {joiner}
        < stop please/now/thanks/it {joiner}
        < stop or
        word stop >
        < stops >
    """,
    "stop-contact": """
        stop ~1 {texting}
        stop {calling} me/this/here/my/her/him/and/or/at/again
        stop {calling} us >
        stop {calling} >
        stop asking/begging ~1 for/to
        stop {sending} ~2 {message}
        stop {sending} me/us/him/her/my/this/these/it/them/anything/things/any
        stop {sending} >
        stop {sending} to ~1 {phone}
        stop with? {your} {message}
        stop with? {your}? {list_kind}? {message}
        stop with? my/these/those/your ~2 {message}
        stop with ~3 {message}
        stop with this/these/it >
        stop it with ~2 {message}
        ask/asked/asking/told/telling/beg/begging you ~1 to stop
        stop wasting your/my/our
        stop using ~1 my
        stop/end ~1 all? contact/communication/communications/correspondence
        {ask} ~1 stop this/these/them/it/that >
        {ask} ~2 stop this/these/the/your/them/all {message}
        make/get/have this/these/it/them/you stop >
        get/want/need/like this/these/it/them/you ~1 to stop/end/cease/finish >
        cancel/end these/those >
        cancel/end/cease ~2 {contact_word}
        want/like/asked/ask/told/tell/said/expect you ~3 to stop
        to it that they/these/this stop
        please ~2 stop {texting}/{sending}/{message}
        said/say/saying/texted/sent/replied/responded/answered/told/typed ~2 stop
        dont/didnt/wont stop {texting}/{sending}
        end/quit with? {your}? {message}
        quit it? {texting}
        quit it? with? {your}? {message}
        cease and/& desist
        cease ~3 {message}/{texting}/contacting
        desist
        refrain from ~1 {texting}/{sending}/{calling}
        halt ~2 {message}
        knock/pack it off/in with {your}
    """,
    "opt-out": """
        opt/opts/opting/opted me/us/out/myself out?
        opt ~3 out
        < {ask}? opt ot/ou/put/oit/oot/our >
    """,
    "remove": """
        {remove} me/us/him
        {remove} ~2 this/my/our/his/her/their/dads/mums ~1 {details}
        {lose} ~2 this/my/our/his/her/their ~1 number/no/details/contact/info
        {remove} ~2 all ~2 {details}
        {remove} her/them/this/it from {your} ~1 {list}
        {remove} from {your} {list_kind}? {list}
        {remove} from {list}
        < {ask}? remove/delete >
        < {ask}? delete/erase/remove it/them >
        number/but/and {remove} it/this/me
        {take} me/us/him/her/them/this/my off/of {your} ~1 {list}
        {take} me/us off >
        {take} me/us off ~2 {list}
        {take} me/us out of
        take me/us off
        get me/us off {this} >
        < i want out >
        take/get me/us of {your}
        take/taken/taking/pull ~1 {own}/this/his/her/these ~1 {details} ~2 off/of/out/away/from
        get {own}/this/his/her ~1 {details} ~1 off/out
        off {your}/of {list_kind}? {list}
        off {your} {list_kind} {list}
        {own} ~2 {details} ~1 removed/deleted/erased/off/taken/wiped
        be/been/name/number removed/deleted/erased from {your} ~1 {list}
        to be removed/deleted/erased from {this}
        can/could/may i/we/this ~1 be removed/deleted/unsubscribed
        be taken off
        come off {your}/of {list_kind}? {list}
        come off {this} >
        {take}/{remove} it/this off/from ~2 {list}
        {remove}/{take}/{lose} ~3 number/mobile ~2 {your}/from/off ~1 {list}
        {remove} {details} >
        erase/delete/destroy/wipe ~2 data/details/information
        exclude me/us
        count me/us out of {this}
        unfollow
        block me/us/my
        block/blocking/blocked this number
        block/blocking you
    """,
    "wrong-number": """
        wrong number/no/num/phone/mobile
        wrong {person}/{names}
        < wrong one >
        {not} {names} >
        {not} ~1 {names} {phone}
        {not} {names} any more
        {not} ~2 {phone} any more
        this/thats/its is? not/isnt ~1 phone/number/mobile >
        this isnt ~1 phone/number/mobile >
        im/am not {names}
        {not} the {person} you/youre
        my name {not}
        got ~2 old {phone}
        {phone} ~1 belongs to
        new owner of this {phone}
        got/had this {phone} last/yesterday/recently/this
        is my/a {phone} now
        used to be ~3 {phone}
        {phone} ~3 mine now
        is mine now
        no_longer ~3 {phone} >
        {not} my name >
        no one called
        no one ~1 of that name
        no {names} here
        no one here ~1 called
        dont/do_not know any/anyone/anybody/a called? {names} >
        dont/do_not know any/anyone/anybody called
        no one by ~2 name
    """,
    "leave-alone": """
        leave me/us/my/this/her/him ~3 alone
        leave me/us be
        leave me/us ~1 in peace
        let me/us alone
    """,
    "abuse": """
        {off_word} right? off
        fuck right? off/of
        go fuck/away
        < get lost/stuffed/fucked/bent/knotted
        so/and/just/please/you/can get lost/stuffed/fucked
        < do one >
        < jog/push/buzz/bore/clear on/off >
        < on your bike >
        so/and/just/please/can do one >
        shove it/your/these/this/them
        stick it/your/these/this/them ~4 arse/ass/backside/sun/jumper/hole
        stick your {message}
        go to hell
        eat shit
        up yours
        sling your hook
        take a hike
        stop {swearing}
    """,
    "do-not-contact": """
        < {dont} ~1 {message_verb}/{call_verb} >
        < {dont} ~2 {message_verb} {here}/at/my/or/and/ever
        < {dont} {message_verb} or {call_verb}/{message_verb}
        < {dont} {call_verb} or {message_verb}
        < {dont} {call_verb} {here}/my
        dont/do_not/never/not_to ~1 {message_verb} {here}/my/it/these
        please/pls/and/or/so/to dont/do_not/not/never ~1 {message_verb}
        please/pls/and/or/so/to dont/do_not/not/never ~1 {call_verb} {here}
        < {dont}/do_not ~1 {call_verb} me/us/this ~1 again/any_more/ever
        {dont}/do_not ~1 send me/us/any/anything/it/this/these/more/him/her
        {dont} ~1 contact/contacting/text/texting
        < {dont} use this/my {phone}
        dont/do_not/never use/ring/dial my/this ~1 {phone}
        {dont} ~1 send/sending >
        < {dont} ~1 {call_verb} or/and {message_verb}
        it/grateful/prefer/happier if you ~1 didnt/dont/not/stopped ~1 {message_verb}/{texting}
        rather you ~1 didnt/dont/not ~1 {message_verb}
        prefer ~1 not to ~2 {message}/{message_verb}/contacted/texted
        not happy ~3 contacted/texted/messaged
        no account/circumstances ~1 {message_verb}/send
        on/with/registered the? tps
        tps registered
        dont/do_not bother {texting}/{sending}/{calling}/me/us
        < {ask}? not {message_verb}/send me/us/this
        not ~1 be {message_verb}/contacted/texted/messaged/emailed/called
    """,
    "do-not-want": """
        {negated} ~1 {want}/appreciate/care ~5 {wanted_message}
        {negated} ~1 {want} ~1 to ~1 receive/get/hear ~3 {message}/{this}/from_you/
            anything/more/further/any
        dont/do_not/didnt/no_longer/not ~1 want/wish/need/like ~2 hear ~1 from you
        dont/do_not/no_longer/not ~1 want/wish/like to be on ~2 {list}
        dont/do_not/no_longer/not ~1 want any? ~1 more? of? {this} >
        < {dont} want >
        dont/do_not/no_longer/not ~1 want/need/like ~1 any more >
        dont/do_not/no_longer/not ~1 want/wish/like any/more ~1 {message}
        dont/do_not/no_longer/didnt/never ~1 want/wish/like ~2 sent/sending ~2 {message}/this/these
        {negated} ~1 {asked}/want/wanted ~2 {this}/{wanted_message} >
        {negated} ~1 {asked} ~2 {this}/{wanted_message}
        {had_not} ~1 {signed} up/in? for/to ~1 {this}/your/any/anything/get/receive/be/{message}
        {had_not} ~1 sign/signed/opt/opted up/in >
        {had_not} ~1 subscribe/subscribed >
        {had_not} ~1 subscribed
        {had_not} ~1 give/gave/given ~2 permission/consent/number/details/authorisation/authority
        {had_not} ~2 consent/consented
        not/dont/no_longer have ~1 my consent/permission
        no consent
        consent not given
        without my consent/permission
        no permission/consent to
        unsolicited
    """,
    "no-more": """
        < no more/further/new thanks? >
        < enough/no/no_more now? no more >
        you lot/all/people? no more >
        told/said/asked ~3 no more >
        < no ~1 texts/messages/sms/emails/marketing
        please/so/and/but no ~1 texts/messages/sms/emails/marketing
        no more/further/new ~2 {message}/contacting
        < enough {message} >
        no more of {this}/your
        no more from you
        no more texting/messaging/sending
        nothing further/more from you
        receive/get/send/sent nothing further/more/else
    """,
    "objection": """
        < {ask}? i object strongly? >
        object to ~1 your? {processing}/{texting}/{sending}/texts/messages
        object to ~1 further/any ~1 {message}
        object to these/this >
        object to the processing/use
        objection to ~2 marketing/processing/messages/texts
        right to object/erasure/be_forgotten
        article 17/21
        {withdraw} ~1 my/any/all/previous? consent
        {withdraw} ~1 my/any/all/previous permission
        consent is/has/was? been? withdrawn/revoked/removed
        {complain} ~4 ico/information_commissioner/ofcom
        to/with/telling the? ico/information_commissioner
        this/it/that is/was ~1 harassment/spam/spamming
        thats/its harassment/spam
        you ~2 harassing
        blocked/blocking/block and/you/your/sender report/reported/reporting?
        reported/reporting and blocked/blocking
        reported/reporting as ~1 spam
        cancel ~2 subscription/texts/messages/alerts/sms/notifications/emails/updates
    """,
}
"""By the name of the rule: phrases that ask for no more, anywhere in a message."""

STOPS_ALONE = {
    "keyword": """
        < end/quit/cancel/revoke/remove/delete/unfollow/block >
        < end/quit/cancel/revoke/remove/delete/stop all/me/now/texts/number >
        < cease/cease_now/spam/blocked/harassment/fo/gtfo/stfu >
        < blocked and/& reported >
        < please stop/end/cancel/quit >
    """,
}
"""Phrases that ask for no more when they are the whole message."""
