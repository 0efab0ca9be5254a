"""The errors that people see: each carries its data, the CLI prints one line with a remedy."""

from pathlib import Path


class SenderError(Exception):
    """Something was refused or failed.

    Attributes:
        problem: what is wrong and where, in one sentence, without personal data.
        remedy: what to do about it; may be empty.
    """

    exit_code = 1

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".rstrip()


class UsageError(SenderError):
    """The command was called in a way that cannot be meant."""

    exit_code = 2


class SettingsError(SenderError):
    """A setting in the environment is missing or malformed."""


class KeyRefusedError(SenderError):
    """SENDER_HASH_KEY is missing, short or unknown to this database."""


class DatabaseError(SenderError):
    """The database is missing, not migrated, or its clock is off."""


class LedgerBrokenError(SenderError):
    """A hash chain does not verify."""


class NotFoundError(SenderError):
    """A controller, purpose, notice, campaign, run or file does not exist."""


class RefusedError(SenderError):
    """The rules forbid what was asked."""


class ProviderError(SenderError):
    """A provider account cannot be used: credentials, sandbox, paused."""


class FileError(SenderError):
    """A file is unreadable or says something that cannot be meant.

    Attributes:
        path: the file.
        line: 1-based line, or None where no line is to blame.
        key: the dotted key, column or variable at fault; may be empty.
    """

    def __init__(
        self, problem: str, *, path: Path, line: int | None = None, key: str = "", remedy: str = ""
    ) -> None:
        where = str(path) if line is None else f"{path}:{line}"
        subject = f"{where}: {key}: " if key else f"{where}: "
        super().__init__(subject + problem, remedy=remedy)
        self.path = path
        self.line = line
        self.key = key


class TemplateError(FileError):
    """A template does not parse, lacks a variable, or breaks the rules of identity and way out."""
