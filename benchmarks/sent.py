"""What a process that sent says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sent:
    """What one process did.

    Attributes:
        messages: accepted.
        cpu_seconds: of the process, user and system.
        wall_seconds: by the clock.
        confirmed_at: monotonic seconds of the yes.
        peak_mib: the most memory that the process ever had.
        memory_mib: its memory every five seconds.
    """

    messages: int
    cpu_seconds: float
    wall_seconds: float
    confirmed_at: float = 0.0
    peak_mib: float = 0.0
    memory_mib: tuple[float, ...] = ()

    @property
    def cpu_us(self) -> float:
        """CPU a message, in microseconds."""
        return self.cpu_seconds / self.messages * 1e6

    @property
    def per_second(self) -> float:
        return self.messages / self.wall_seconds
