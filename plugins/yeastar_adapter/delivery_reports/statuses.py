"""What became of a message, in SMPP's words (SMPP 3.4, 5.2.28 and appendix B), which FutureSMS uses."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What a status means for the message."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    INTERIM = "interim"
    """Under way: another report is to come."""


OUTCOMES = {
    "DELIVRD": Outcome.DELIVERED,
    "UNDELIV": Outcome.UNDELIVERED,
    "EXPIRED": Outcome.UNDELIVERED,
    "REJECTD": Outcome.UNDELIVERED,
    "DELETED": Outcome.UNDELIVERED,
    "SKIPPED": Outcome.UNDELIVERED,
    "UNKNOWN": Outcome.UNDELIVERED,
    "ACCEPTD": Outcome.INTERIM,
    "ENROUTE": Outcome.INTERIM,
    "SCHEDLD": Outcome.INTERIM,
}
"""Every status that is known, by its seven letters. Nothing more is to be expected after one that is not interim."""

MEANINGS = {
    "DELIVRD": "it is on the recipient's phone",
    "UNDELIV": "the network could not deliver it: the number is not in use, or is barred",
    "EXPIRED": "the phone was not reached in the time that the message was valid for",
    "REJECTD": "an operator has rejected it: its sender, text or recipient is not allowed",
    "DELETED": "it was deleted on its way",
    "SKIPPED": "it was left out on its way",
    "UNKNOWN": "the operator does not know what became of it",
    "ACCEPTD": "an operator has accepted it",
    "ENROUTE": "it is on its way",
    "SCHEDLD": "it is to be sent later",
}

_LONG = {
    "DELIVERED": "DELIVRD",
    "UNDELIVERABLE": "UNDELIV",
    "UNDELIVERED": "UNDELIV",
    "REJECTED": "REJECTD",
    "ACCEPTED": "ACCEPTD",
    "SCHEDULED": "SCHEDLD",
}


def status_of(word: str) -> str | None:
    """The seven letters of a `message_status`, in whatever case and length it is written; None: not known."""
    word = word.strip().upper()
    word = _LONG.get(word, word)
    return word if word in OUTCOMES else None
