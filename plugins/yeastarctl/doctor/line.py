"""One line of the doctor's report."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True)
class Line:
    """What was looked at, how it is, and what to do when it is not well."""

    state: State
    subject: str
    detail: str
    todo: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
