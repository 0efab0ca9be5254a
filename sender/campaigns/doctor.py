"""Can this installation work: settings, key, database, clock, links, provider accounts."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from sender.campaigns.accounts import open_account, usable_capacity
from sender.campaigns.doctor_alerts import examine_alerts
from sender.campaigns.doctor_database import examine_database
from sender.campaigns.doctor_inbound import examine_inbound
from sender.campaigns.findings import Finding, Health
from sender.clock import Clock
from sender.context import JOURNAL_OFF, Context, open_journal
from sender.errors import DatabaseError, SenderError, SettingsError
from sender.providers.base import Provider
from sender.settings import Settings
from sender.store.clock_check import require_agreeing_clock
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.engine import Store, open_store
from sender.store.journal import Owner
from sender.store.keys import AddressHasher, database_name, require_key
from sender.store.schema import require_current
from sender.suppression.journal import require_whole
from sender.suppression.tokens import TokenKeys


def examine(settings: Settings, clock: Clock, *, ask_providers: bool) -> Iterator[Finding]:
    """Yield a finding for everything that a campaign needs; nothing is changed or sent.

    Args:
        settings: from the environment.
        clock: the time.
        ask_providers: whether to ask each provider in use what its account allows.
    """
    yield _operator(settings)
    yield _public_url(settings)
    yield _found("token keys", lambda: _require_token_keys(settings))
    key = _found("hash key", lambda: settings.hash_keys and "SENDER_HASH_KEY is set.")
    yield key
    store = open_store(settings.database_url)
    try:
        database = _found("database", lambda: _require_database(store))
        yield database
        if Health.BROKEN in {key.health, database.health}:
            return
        yield from examine_database(store)
        yield from _in_database(settings, store, clock, ask_providers=ask_providers)
    finally:
        store.close()


def _in_database(
    settings: Settings, store: Store, clock: Clock, *, ask_providers: bool
) -> Iterator[Finding]:
    hasher = AddressHasher(*settings.hash_keys)
    yield _found("key of the database", lambda: _require_known_key(store, hasher))
    yield _found("clock", lambda: _require_clock(store, clock))
    yield _journal(settings, store, hasher, clock)
    context = Context(settings, store, hasher, clock, settings.operator)
    with store.read() as session:
        accounts = session.scalars(
            select(ProviderAccount)
            .where(
                ProviderAccount.id.in_(
                    select(SenderIdentity.provider_account_id).where(
                        SenderIdentity.retired_at.is_(None)
                    )
                )
            )
            .order_by(ProviderAccount.name)
        ).all()
    if not accounts:
        remedy = "Describe one in a controller file: sender controller add FILE"
        yield Finding("provider accounts", Health.ATTENTION, "None is in use.", remedy)
    for account in accounts:
        yield _account(account, context, ask=ask_providers)
        yield from examine_inbound(account, context, ask=ask_providers)
    yield from examine_alerts(context)


def _account(account: ProviderAccount, context: Context, *, ask: bool) -> Finding:
    def look() -> str:
        provider = open_account(account, context)
        try:
            return _capacity(account, provider) if ask else "Options and credentials are there."
        finally:
            provider.close()

    return _found(f"account {account.name} ({account.provider})", look)


def _capacity(account: ProviderAccount, provider: Provider) -> str:
    capacity = usable_capacity(account, provider)
    left = capacity.remaining_today
    quota = "no daily limit" if left is None else f"{left:,} left today"
    return f"{capacity.rate_per_second:g} a second, {quota}."


def _found(what: str, look: Callable[[], object]) -> Finding:
    try:
        return Finding(what, Health.WELL, str(look()))
    except SenderError as error:
        return Finding(what, Health.BROKEN, error.problem, error.remedy)


def _operator(settings: Settings) -> Finding:
    if settings.operator:
        return Finding("operator", Health.WELL, "SENDER_OPERATOR is set.")
    return Finding(
        "operator",
        Health.ATTENTION,
        "The audit trail will name the login only.",
        "Set SENDER_OPERATOR, or give --operator.",
    )


def _public_url(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url or "")
    if parts.scheme == "https" and parts.hostname:
        return Finding("public address", Health.WELL, "SENDER_PUBLIC_URL is https.")
    return Finding(
        "public address",
        Health.BROKEN,
        "SENDER_PUBLIC_URL is not an https address, so no opt-out link can be made.",
        "Set it to where the opt-out pages are reached, e.g. https://out.example.org",
    )


def _require_token_keys(settings: Settings) -> str:
    if settings.token_keys is None:
        raise SettingsError(
            "SENDER_TOKEN_KEYS is not set, so no opt-out link can be made.",
            remedy="Make one: python -c \"import secrets; print('1:' + secrets.token_hex(32))\"",
        )
    TokenKeys.parse(settings.token_keys.get_secret_value())
    return "SENDER_TOKEN_KEYS is well formed."


def _require_database(store: Store) -> str:
    try:
        require_current(store)
    except SQLAlchemyError as error:
        raise DatabaseError(
            f"The database cannot be reached ({type(error).__name__}).",
            remedy="Check SENDER_DATABASE_URL, and that the server runs.",
        ) from None
    return f"Reached ({store.dialect}), at this program's schema."


_KNOWN = "The database knows this key."


def _require_known_key(store: Store, hasher: AddressHasher) -> str:
    with store.read() as session:
        require_key(session, hasher)
    older = len(hasher.fingerprints) - 1
    return f"The database knows this key, and {older} before it." if older else _KNOWN


def _journal(settings: Settings, store: Store, hasher: AddressHasher, clock: Clock) -> Finding:
    if settings.journal == JOURNAL_OFF:
        return Finding(
            "journal",
            Health.ATTENTION,
            "It is off: a restored backup would lose the opt-outs that came after it.",
            "Set SENDER_JOURNAL to a file on another disk than the database's.",
        )
    return _found("journal", lambda: _require_journal(settings, store, hasher, clock))


def _require_journal(settings: Settings, store: Store, hasher: AddressHasher, clock: Clock) -> str:
    with store.read() as session:
        owner = Owner(hasher, database_name(session))
    journal = store.journal = open_journal(settings, owner, clock)
    if journal is None:
        return "It is off."
    journal.require_writable()
    require_whole(store)
    if journal.header() is None:
        return f"It begins with the first opt-out, at {journal.path}."
    return f"The database holds all of {journal.path}."


def _require_clock(store: Store, clock: Clock) -> str:
    require_agreeing_clock(store, clock.now())
    return "Agrees with the database."
