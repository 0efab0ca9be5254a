"""Ledgers with rows, and an administrator who gets past the guards."""

from dataclasses import dataclass

from sqlalchemy import create_engine, func, select, text
from sqlalchemy.sql.base import Executable

from sender.store import audit_trail
from sender.store.append_only import APPEND_ONLY, NEVER_DELETED, unguard
from sender.store.chain import LEDGERS, Ledger
from sender.store.chain_check import Break, verify
from sender.store.engine import Store
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    address_id_of,
    block,
    establish,
    record_consent,
)

ROWS = 6
MIDDLE = 4
BY_NAME = {ledger.name: ledger for ledger in LEDGERS}


@dataclass(frozen=True)
class Ledgers:
    """A database with rows in every ledger, in the hands of its administrator."""

    store: Store
    body: Organisation

    def tamper(self, *statements: Executable) -> None:
        """Run the statements past triggers and foreign keys."""
        engine = create_engine(self.store.engine.url)
        with engine.begin() as connection:
            if self.store.dialect == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            else:
                for drop in unguard("sqlite", APPEND_ONLY + NEVER_DELETED):
                    connection.execute(text(drop))
            for statement in statements:
                connection.execute(statement)
        engine.dispose()

    def breaks(self) -> list[Break]:
        with self.store.read() as session:
            return [found for ledger in LEDGERS for found in verify(session, ledger)]

    def only_break(self) -> Break:
        (found,) = self.breaks()
        return found

    def id_at(self, ledger: Ledger, seq: int) -> int:
        with self.store.read() as session:
            return session.scalars(select(ledger.rows.id).where(ledger.rows.seq == seq)).one()

    def last(self, ledger: Ledger) -> int:
        with self.store.read() as session:
            return session.scalars(select(func.max(ledger.rows.seq))).one()


def filled_ledgers(store: Store) -> Ledgers:
    """Write as many rows into every ledger, with and without payloads."""
    with store.write() as session:
        body = establish(session)
        batch = add_batch(session, body.controller)
        for number in range(ROWS):
            address_id = address_id_of(session)
            record_consent(
                session, body, address_id, evidence={"ip": number}, batch=batch, ends_at=NOW
            )
            block(session, address_id, controller=body.controller, purpose=body.purpose)
            audit_trail.record(
                session,
                now=NOW,
                operator=OPERATOR,
                action="test.act",
                controller_id=body.id,
                details={"number": number},
                personal={"name": "Ann"},
            )
    return Ledgers(store, body)
