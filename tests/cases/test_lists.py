"""Cases of lists: bought, mixed, kept too long, carried from one system to the next."""

from tests.support.case import AGREED, NOT_HELD, Case, supporter
from tests.support.command_line import CONTROLLER_FILE, NOTICE_FILE


def test_conservative_party_2021_opt_outs_lost_with_the_old_provider(case: Case) -> None:
    """£10,000. People had unsubscribed; with a new e-mail provider the list of them was gone.

    It could not say either on what basis each person had been written to.
    """
    case.brings_in(supporter("ann"), supporter("bo"))
    campaign = case.campaign()
    assert "opt-outs" in case.is_refused_to_launch(campaign)
    case.brings_old_opt_outs("bo@example.org")
    assert case.launches(campaign) == {"accepted": 1, "suppressed": 1}
    history = case.desk.read("consent", "history", "ann@example.org", "-c", "riverside")
    assert [event["what"] for event in history["events"]] == ["given"]


def test_leave_eu_and_eldon_2019_one_organisations_list_used_by_another(case: Case) -> None:
    """An insurer's customers got a campaign's newsletter, and the other way round."""
    other = CONTROLLER_FILE.replace("riverside", "eldon").replace("Riverside", "Eldon")
    case.desk.done("controller", "add", case.desk.write("eldon.toml", other))
    eldon = NOTICE_FILE.replace("riverside", "eldon").replace("Riverside", "Eldon")
    case.desk.done("notice", "add", case.desk.write("eldon-notice.toml", eldon))
    case.brings_in(supporter("ann"), controller="eldon")
    case.brings_in(supporter("bo"))
    case.signs()
    campaign = case.campaign()
    assert case.why_not("ann@example.org", campaign) == "invalid_address"
    assert case.launches(campaign) == {"accepted": 1}
    found = case.desk.read("contacts", "find", "ann@example.org", "-c", "riverside")
    assert found["contacts"] == []


def test_better_for_the_country_2016_a_bought_list_on_the_suppliers_word(case: Case) -> None:
    """£50,000. Half a million texts to a list whose supplier said that people had agreed."""
    vague = NOTICE_FILE.replace("sign-up-form", "supplier-form").replace(
        "Yes, Riverside Association may", "Yes, carefully chosen partners may"
    )
    refused = case.desk.sender("notice", "add", case.desk.write("vague.toml", vague))
    assert "Riverside Association" in refused.err
    theirs = CONTROLLER_FILE.replace("riverside", "lists-ltd").replace("Riverside", "Lists")
    case.desk.done("controller", "add", case.desk.write("lists-ltd.toml", theirs))
    wording = NOTICE_FILE.replace("sign-up-form", "supplier-form").replace(
        "Yes, Riverside Association", "Yes, Lists Association"
    ).replace('controllers = ["riverside"]', 'controllers = ["lists-ltd"]')  # fmt: skip
    case.desk.done("notice", "add", case.desk.write("supplier.toml", wording))
    bought = {"source": "third_party", "source_detail": "Lists Ltd"}
    case.brings_in(
        supporter("ann", consent_notice="supplier-form", **bought),
        supporter("cy", **bought),  # the supplier asked with Riverside's own wording
    )
    campaign = case.campaign()
    assert case.why_not("ann@example.org", campaign) in {"third_party", NOT_HELD}
    assert case.why_not("cy@example.org", campaign) is None


def test_vote_leave_2019_the_evidence_was_gone(case: Case) -> None:
    """£40,000. 196,154 texts, and no evidence of consent: it had been deleted."""
    missing = supporter("ann")
    del missing["consent_source"]
    counts = case.brings_in(missing, supporter("bo"))
    assert counts["consents_recorded"] == 1
    case.signs()
    assert case.launches(case.campaign()) == {"accepted": 1}
    case.desk.done("retention", "apply")
    case.desk.done("subject", "erase", "bo@example.org", "-c", "riverside", "--yes")
    found = case.desk.read("evidence", "bo@example.org", "-c", "riverside")
    [relied_on] = [one["decisions"][0]["relied_on"] for one in found["messages"]]
    [shown] = [one for one in found["consents"] if one["event"] == relied_on]
    assert "Riverside Association may send me" in shown["wording"]["wording"]
    assert shown["source"] == AGREED["consent_source"]
    case.desk.done("db", "check")


def test_saga_2021_and_join_the_triboo_2023_affiliates_asked_for_everybody(case: Case) -> None:
    """Affiliates asked people to agree to "our partners", or to a partner but not for what."""
    partners = NOTICE_FILE.replace("sign-up-form", "partners").replace(
        "Yes, Riverside Association may", "Yes, selected partners may"
    )
    refused = case.desk.sender("notice", "add", case.desk.write("partners.toml", partners))
    assert "does not name" in refused.err
    case.brings_in(supporter("ann", consent_notice="partners"))
    survey = CONTROLLER_FILE + '[[purpose]]\nslug = "surveys"\ntitle = "Surveys"\n'
    case.desk.done("controller", "update", case.desk.write("riverside.toml", survey))
    vague = NOTICE_FILE.replace("sign-up-form", "prize-draw").replace(
        'purposes = ["campaign-news"]', 'purposes = ["surveys"]'
    )
    case.desk.done("notice", "add", case.desk.write("prize-draw.toml", vague))
    case.brings_in(supporter("bo", consent_notice="prize-draw"), supporter("cy"))
    case.signs()
    campaign = case.campaign()
    assert case.why_not("ann@example.org", campaign) == NOT_HELD
    assert case.why_not("bo@example.org", campaign) in {"wrong_purpose", NOT_HELD}
    assert case.launches(campaign) == {"accepted": 1}


def test_labour_2010_people_came_back_with_the_next_list(case: Case) -> None:
    """People who had been stopped in 2007 were called again from lists that were bought later."""
    case.brings_old_opt_outs("ann@example.org")
    case.brings_in(supporter("ann", consent_at="2026-10-01 10:00"))
    assert case.why_not("ann@example.org", case.campaign()) == "suppressed"


def test_sports_direct_2021_old_data_used_again(case: Case) -> None:
    """£70,000. A campaign to win back people who had not been heard of for years."""
    case.brings_in(supporter("ann", consent_at="2023-11-02 10:00"), supporter("bo"))
    case.signs()
    assert case.launches(case.campaign()) == {"accepted": 1, "stale": 1}
