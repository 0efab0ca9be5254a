"""Words that the rules treat alike, in the spelling of `plain`; English and Welsh."""

_TEXT = {
    "polite": """
        please thanks thank_you thank ta cheers hi hello hey hiya dear sir madam sorry ok okay right
        now just oh well so and but then really kindly mate love pal lads guys folks x xx xxx
        regards kind best wishes kind_regards many_thanks sincerely faithfully yours again ever also
        already immediately today at_once asap ffs omg lol good morning good_afternoon good_evening
        all the from for_goodness_sake for_the_love_of_god for_gods_sake for_christs_sake
        for_fucks_sake fucking bloody damn yes yeah no_ na actually honestly seriously team there
        everyone os_gwelwch_yn_dda os_gweli_di_n_dda diolch diolch_yn_fawr helo shwmae sori nawr
        rwan plis byth eto any_more sent_from_my_iphone
    """,
    "polite_only": """
        please thanks thank_you ta cheers plis diolch os_gwelwch_yn_dda os_gweli_di_n_dda
    """,
    "ask": """
        can_you could_you will_you would_you you_can you_need_to you_must you_should you_will can_u
        can_we can_i could_i may_i i_want_you_to i_would_like_you_to id_like_you_to want_you_to
        ask_you_to asking_you_to asked_you_to told_you_to i_want_to i_would_like_to id_like_to
        i_wish_to i_need_to i_want want_to like_to wish_to how_do_i how_can_i how_do_we how_to
        how_does_one how_do_you is_there_a_way_to how_would_i if_you_could would_you_mind to
        tell_me_how_to said say says told_you asked replied texted sent i_said i_told_you reply text
        send type make_it make_them want_this_to
    """,
    "this": "this these it them those that",
    "message": """
        text texts message messages sms contact contacts communication communications correspondence
        email emails mail mails mailing mailings mailshots marketing spam crap rubbish shit nonsense
        garbage junk alerts updates notifications newsletter newsletters subscription subscriptions
        campaigning bombardment propaganda drivel bollocks shite tripe bumf stuff
    """,
    "message_verb": """
        text texting txt message messaging contact contacting email emailing mail mailing spam
        spamming bother bothering disturb disturbing pester pestering harass harassing hassle
        hassling whatsapp whatsapping annoy annoying badger badgering bombard bombarding
    """,
    "call_verb": "call calling phone phoning ring ringing telephone telephoning write writing",
    "texting": """
        texting messaging contacting emailing mailing spamming bothering pestering harassing
        hassling whatsapping annoying badgering bombarding begging nagging stalking disturbing
        mithering
    """,
    "calling": "calling phoning ringing telephoning writing asking cold_calling bugging",
    "sending": "sending getting receiving sent send receive get",
    "your": "your the this that these those ur all any every our",
    "list": """
        list lists database databases data_base records record system systems books file files
        register_of_contacts mailing_list contact_list distribution_list spreadsheet
    """,
    "list_kind": """
        mailing contact contacts text texting marketing sms email emailing distribution call calling
        mail messaging message stupid bloody fucking damn
    """,
    "details": """
        number numbers no details detail name data info information contact contacts phone mobile
        email address
    """,
    "remove": """
        remove removed delete deleted erase erased exclude scrub deregister removing deleting
    """,
    "lose": "lose forget bin drop ditch wipe destroy strike trash cancel",
    "take": "take taken get pull taking got",
    "own": "my this our his her their the moms mums dads me",
    "not": "not isnt aint wasnt arent never no_longer",
    "dont": "dont do_not never not_to",
    "had_not": "didnt did_not havent have_not never not dont do_not hasnt",
    "here": "this here me us again any_more him her",
    "off_word": "fuck feck eff f piss bugger sod naff bog ffwc ffyc ffoc",
    "swearing": """
        fuck fucker fuckers fucking wanker wankers twat twats cunt cunts arsehole arseholes prick
        pricks tosser tossers bastard bastards bellend bellends dickhead dickheads knobhead
        knobheads scum bitch bitches gobshite gobshites
    """,
    "relation": """
        he she mum mam mother dad father husband wife nan nana gran grandma grandad grandfather
        grandmother brother sister son daughter uncle aunt partner mr mrs ms miss hes shes who
    """,
    "since": """
        last in on two three four five several years months weeks this recently some yesterday today
        a an back before during at ago earlier over since suddenly aged and so
    """,
    "going": "away house home out abroad from to",
    "phone": "number phone mobile cell landline line",
    "person": "person guy man woman lady girl bloke chap people",
    "joiner": """
        i im ive id my we were weve he she hes shes they not no wrong voted because as or before its
        dont youve you or_else and_i otherwise immediately straight for_good at_once now already
    """,
    "subject": """
        they we i people who council councillors doctors surgery gps gp police politicians mps lot
        that others neighbours
    """,
    "negated": "dont do_not no_longer not didnt did_not never havent have_not wont",
    "any_no": """
        no not dont didnt doesnt isnt wasnt never wont cant shouldnt wouldnt without nobody havent
        hasnt nor
    """,
    "contact_word": """
        text texts texted texting message messages messaging messaged contact contacted contacting
        sms
    """,
    "want": "want wish need like",
    "wanted_message": """
        texts texted message messages messaged contacted emailed emails communications updates
        newsletters spam marketing sms
    """,
    "asked": "ask asked request requested",
    "signed": "sign signed subscribe subscribed agree agreed opt opted",
    "processing": """
        processing using use having holding storing profiling contacting being direct marketing
        unsolicited
    """,
    "withdraw": "withdraw withdrawing withdrawn withdrew revoke revoking revoked cancel",
    "complain": "report reporting reported complain complaining complained complaint",
    "support": "membership direct_debit subscription donation",
    # other uses
    "going_on": """
        until long here there now talking thinking smiling fighting laughing believing worrying
        raining barking crying running working campaigning caring
    """,
    "leave_out": "remove delete erase unsubscribe take opt drop cancel",
    "place": """
        surgery office meeting venue station date shop school market library stop clinic bank
    """,
    "which_end": """
        the east west north south dead book high front back deep other low loose tail top year week
        both
    """,
    "scheme": """
        pension pensions organ donation scheme school meals jury smart nhs eu state council system
        tax contract
    """,
    "plan": """
        planning plan plans new bypass proposal proposals development quarry houses housing
        application
    """,
    "public_list": "housing waiting electoral council voting gp doctors dentist candidate nhs",
    "way": "drain drains road roads gutter gutters toilet pavement path lane river ditch",
    "cause": """
        brexit hs2 ulez war wars cuts boats immigration reform labour tories tory snp ukip plaid
        austerity racism starmer farage trump putin israel genocide sewage pylons
    """,
    "stop_word": """
        stop stopped stopping unsubscribe remove removed delete cancel stopiwch stopio peidiwch
        tynnwch
    """,
    "message_word": """
        text texts texted texting message messages messaging sms contact contacting contacted
        list email emails negeseuon neges tecst tecsts rhif
    """,
    # Welsh
    "stopiwch": "stopiwch stopia stopio stopwch stopa",
    "peidiwch": "peidiwch paid peidio peidiwch_a peidiwch_ag paid_a paid_ag peidio_a peidio_ag",
    "tecstio": """
        tecstio decstio thecstio tecsio decsio anfon hanfon gyrru danfon ddanfon yrru cysylltu
        gysylltu chysylltu boeni mhoeni fy_mhoeni haslio negesu e_bostio ebostio bostio postio
        ffonio phonio galw poeni_ni haslo bombardio sbamio ysgrifennu sgwennu defnyddio_fy
    """,
    "negeseuon": """
        negeseuon neges negeseuau tecst tecsts decst decsts tecstiau decstiau testun testunau ebost
        ebyst e_byst gohebiaeth cysylltiad sbam rwtsh hyn rhain rhein
    """,
    "manylion": """
        rhif rif enw manylion data nata fanylion cyfeiriad gwybodaeth rhestr restr cofnodion
    """,
    "fy": "fy fi ni ein fo hi hwn y r eich dy fyn i",
    "eisiau": "eisiau isio isho isie moyn ishe dymuno dymunaf angen",
    "ddim": "ddim im dwim dydwim m smo sai sa_i nid",
    "other_topic": """
        doriadau toriadau gau cau lymder llymder ryfel rhyfel ddadl dai tai ysbytai geir ceir
        addewidion gelwydd celwydd gelwyddau wastraff
    """,
    "symud_rest": "ty tai i o allan llynedd eleni",
    "welsh_other_verb": """
        stopio phoeni poeni becso rhoi cau chau anghofio gadael phleidleisio pleidleisio colli
        cholli thorri gwerthu chodi
    """,
    "names": """
        aaron abdul abigail adam ahmed aidan aisha alan alex alice ali alison amanda amy andrew andy
        angela ann anna anne anthony april ben beth bethan bob brian carl carol caroline catherine
        charlie charlotte chloe chris christine claire colin craig dafydd dan daniel dave david
        debbie deborah denise derek diane donna dorothy dylan eleri elin elizabeth ellie emily emma
        eric evan fatima fiona frank gareth gary gavin gemma geoff george geraint gill glenys graham
        grace gwen gwyn hannah harry hassan heather helen huw hywel ian imran irene jack jackie
        jacob jake james jamie jane janet jason jean jen jenny jess jessica jim jo joan joanne joe
        john jonathan jones joseph josh joyce judith julia julie june karen kate katie keith kelly
        kev kevin khan kim laura lauren lee leo lewis liam linda lisa liz lou louise lucy luke lyn
        maggie margaret maria marie mark martin mary matt matthew megan mel michael michelle mike
        mohammed muhammad nadia nathan neil nia nick nicola nigel oliver olivia omar owen pam pat
        patricia paul pauline pete peter phil philip priya rachel rebecca rhian rhys richard rob
        robert robin roger ron rosie ross roy ruth ryan sally sam samantha sandra sara sarah sean
        sharon shaun sheila sian simon siobhan sophie stephen steve steven stuart sue susan tara
        terry tim tina toby tom tommy tony tracey tracy trevor val vicky victoria wendy william
        yasmin yusuf zara zoe
    """,
}


def _words(text: str) -> tuple[str, ...]:
    """Return the words, the longest phrases first; `_` stands for a space within one."""
    words = {word.replace("_", " ").strip() for word in text.split()}
    return tuple(sorted(words, key=lambda word: (-word.count(" "), word)))


GROUPS = {name: _words(text) for name, text in _TEXT.items()}
"""Words by the name that phrases use for them."""

GROUPS["polite"] = _words(_TEXT["polite"] + _TEXT["names"])
