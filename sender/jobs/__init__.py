"""The job queue (Procrastinate, on PostgreSQL): it shares work out and decides nothing.

A job that is done twice, late or never changes nothing but speed; what happened to whom, the ledger
alone says. See docs/adr/0017-jobs-share-out-the-ledger-decides.md.
"""
