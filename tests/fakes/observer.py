"""Listeners and audits that remember, and that can break."""

from ott_extauthz.ports import AuditError, CheckRecord, ShadowRecord, UsedListFault


class RecordingObserver:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.records: list[CheckRecord] = []
        self.faults: list[str] = []
        self.store_faults: list[UsedListFault] = []
        self.spends = 0
        self.replays: list[CheckRecord] = []
        self.shadows: list[ShadowRecord] = []
        self.skipped = 0

    def decided(self, record: CheckRecord) -> None:
        self.records.append(record)

    def replayed(self, record: CheckRecord) -> None:
        self.replays.append(record)

    def shadowed(self, record: ShadowRecord) -> None:
        self.shadows.append(record)

    def shadow_skipped(self) -> None:
        self.skipped += 1

    def faulted(self, error_type: str) -> None:
        self.faults.append(error_type)

    def spend_took(self, seconds: float) -> None:
        assert seconds >= 0
        self.spends += 1

    def store_failed(self, fault: UsedListFault) -> None:
        self.store_faults.append(fault)


class RecordingAudit:
    """Remembers what was written; refuses to write when told to."""

    def __init__(self) -> None:
        self.records: list[CheckRecord] = []
        self.shadows: list[ShadowRecord] = []
        self.is_full = False

    def write(self, record: CheckRecord) -> None:
        if self.is_full:
            raise AuditError("No space left on device")
        self.records.append(record)

    def write_shadow(self, record: ShadowRecord) -> None:
        self.shadows.append(record)
