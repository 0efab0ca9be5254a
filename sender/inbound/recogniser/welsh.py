"""What Welsh-speaking people write when they want no more, when they may, and when not; tables.

The notation is that of `phrases`, the spelling that of `plain`: words are without accents, `'r` and
`'n` stand apart, and mutated forms are listed.
"""

OTHER_USES = """
    {peidiwch} byth? a? {welsh_other_verb}
    rhaid/angen/eisiau stopio
    stopio yn/wrth/ar
    na phoener
    dim mwy/rhagor o {other_topic}
"""

STOPS = {
    "welsh-stop": """
        < {stopiwch}/stopio >
        {stopiwch}/stopio {tecstio}
        {stopiwch}/stopio a? {tecstio}
        {stopiwch}/stopio ~2 {negeseuon}
        i chi/ti stopio/beidio >
        sut ~3 stopio ~2 {negeseuon}
        dad/ddad danysgrifio/tanysgrifio/danysgrifiwch
        ddatdanysgrifio/ddaddanysgrifio
        dad danysgrifiwch
        datdanysgrifio/datdanysgrifiwch/daddanysgrifio/dadtanysgrifio/dadtanysgrifiwch
        digon o ~1 {negeseuon}
        rhowch/rho y gore/gorau i
    """,
    "welsh-do-not-contact": """
        < {peidiwch} >
        {peidiwch} ~1 {tecstio}
        {peidiwch} a/ag ~1 {tecstio}
        gwrthod ~2 {negeseuon}
    """,
    "welsh-no-more": """
        < dim mwy/rhagor >
        dim mwy/rhagor ~2 {negeseuon}
        dim o/or hyn/rhain/negeseuon
        dim {negeseuon}
        {ddim} ~2 {eisiau} ~4 {negeseuon}
        {ddim} ~2 {eisiau} ~1 derbyn/clywed/cael/dderbyn/glywed/gael
        ddim am dderbyn/gael/glywed
        {ddim} ~2 {eisiau} mwy/rhagor/hwn/hyn >
        heb ofyn am ~2 {negeseuon}
        heb roi ~2 caniatad/rhif
    """,
    "welsh-remove": """
        tynnwch/tynna/tynnu/tyn/tynwch/cymrwch {fy} ~3 oddi
        tynnwch/tynna/tynnu/tyn/tynwch ~3 {manylion}
        tynnwch/tynna/tynnu/tyn/tynwch fi/ni off
        oddi ar ~2 rhestr/restr/system/cofnodion/bas_data
        dilewch/dilea/dileu/dileuwch ~2 {manylion}
        dilewch/dilea fi
    """,
    "welsh-wrong-number": """
        nid/ddim ~2 rhif/rif
        rhif/rif anghywir/rong/anghywyr
        person/berson anghywir
    """,
    "welsh-leave-alone": """
        lonydd/llonydd i
        gadewch/gad/gadwch/gadael ~2 lonydd/llonydd
        gadewch/gad ~1 fod
    """,
    "welsh-abuse": """
        cer/cerwch/dos/ewch/cerwch o ma/yma
        cer/dos i grafu/ffwrdd/uffern/chwarae
    """,
    "welsh-objection": """
        gwrthwynebu i/ir chi/brosesu/marchnata
        gwrthwynebu ~3 brosesu/prosesu/farchnata/marchnata/negeseuon
        tynnu ~2 caniatad/nghaniatad/ganiatad/cydsyniad/nghydsyniad/gydsyniad
    """,
}

STOPS_ALONE = {
    "welsh-stop": """
        < stop/stopio/stopwch/dileu/canslo/gorffen/diwedd/diweddu >
    """,
}

DOUBTS = {
    "welsh-no-message": """
        {ddim}/dim/heb/peidio ~4 {tecstio}/tecst/tecsts/decst/decsts/negeseuon/neges
    """,
    "welsh-not-interested": """
        dim diolch
        dim/heb ~1 diddordeb
        dim heddiw
        dim i fi/mi
        nid fi
        < na dim
    """,
    "welsh-who-are-you": """
        pwy yw/ydi/ydy/sydd hwn/hon/hyn/chi/ti/rhain
        pwy ydych/dach/wyt chi/ti
        pwy sy n? {tecstio}
        pam ~4 {tecstio}/derbyn/cael
        sut ~4 rhif/rif/manylion
        ble/lle ~4 rhif/rif/manylion
    """,
    "welsh-moved": """
        i/dwi/hi/fo/ni/wedi wedi? symud {symud_rest}
        wedi symud >
        ddim yn byw
    """,
    "welsh-died": """
        wedi marw/huno
        bu/fu farw ~4 llynedd/eleni/mis/wythnos/ddoe/ym/yn_2025/yn_2026
        bu farw ~2 >
    """,
}

DOUBTS_ALONE = {
    "welsh-short-no": """
        < na/nage/naddo/digon/pam >
    """,
}
