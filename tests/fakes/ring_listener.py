"""What a ring that lives elsewhere tells."""


class RingEars:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str | None, str | None]] = []
        self.failures: list[str] = []

    def key_changed(self, kid: str, before: str | None, after: str | None, made_ms: int) -> None:
        self.changes.append((kid, before, after))

    def failed(self, problem: str) -> None:
        self.failures.append(problem)
