"""What may be said of a driver's error: nothing that quotes a row."""

import psycopg


def without_values(error: psycopg.Error) -> str | None:
    """Keep of PostgreSQL's error its first line, whose DETAIL quotes the row at fault.

    Of bad values (SQLSTATE class 22) that line quotes them too, so only the SQLSTATE is kept.
    Returns what is left; None where it is no error of the server's, and was left as it is.
    """
    if error.sqlstate is None:
        return None
    said = error.diag.message_primary
    said = f"SQLSTATE {error.sqlstate}" if error.sqlstate.startswith("22") else said or ""
    error.args = (said,)
    return said
