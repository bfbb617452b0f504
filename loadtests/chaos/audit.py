"""Holds the ledger against what the simulated providers say that they received.

An attempt that the ledger calls accepted must have arrived, one that it calls unknown may have, and any other must not.
A recipient belongs to one decision, and a channel occurs once in a plan: so who was written to over which channel tells
decision and step.
"""
import collections
from dataclasses import dataclass, field

STATES = ["sent", "unknown", "expired", "failed"]


@dataclass
class Audit:
    accepted: int = 0
    states: collections.Counter = field(default_factory=collections.Counter)
    rejected: collections.Counter = field(default_factory=collections.Counter)
    appended_again: int = 0
    # Transactional mails beyond the first of a step; each needs an attempt whose end nobody knew.
    repeats: int = 0
    repeats_possible: int = 0
    # Decisions that ended as unknown of which a message had arrived all the same.
    arrived: int = 0
    open_at_crash: int = 0
    fenced: int = 0
    # Id → by how many seconds, whether that is allowed or not.
    late: dict = field(default_factory=dict)
    early: dict = field(default_factory=dict)
    # What must not be: name of the rule → ids.
    wrong: dict = field(default_factory=lambda: collections.defaultdict(list))


RULES = {
    "lost": "accepted, and not settled",
    "vanished": "was in the ledger once, and is not any more",
    "unanswered": "appended, and neither accepted nor rejected",
    "twice": "marketing, or a text message, came more than once",
    "not received": "accepted by the provider, says the ledger, and the provider has nothing",
    "not told": "received, and the ledger has no attempt that can have sent it",
    "over the bound": "received more often than accepted and unknown attempts allow",
    "message-id": "a repeated mail has another Message-ID",
    "late": "sent after expires_at, by more than what was on the wire can explain",
    "early": "sent before not_before",
    "missed": "the suite did not see all that the simulators received",
    "unbalanced": "martlet status says that the books do not balance",
}


def audit(ledger, wishes, records, rejected, seen, fault):
    """Everything that can be said of the decisions; `seen` are ids that were once found in the ledger."""
    result = Audit(rejected=collections.Counter(rejected.values()))
    accepted = {row[0] for row in ledger.query("SELECT id FROM decisions")}
    settled = {row[0]: row[1] for row in ledger.query("SELECT id, state FROM settlements")}
    attempts = collections.defaultdict(collections.Counter)
    for decision, channel, verdict, reason, count in ledger.query(
            "SELECT decision, channel, verdict, reason, count(*) FROM attempts GROUP BY 1, 2, 3, 4"):
        attempts[decision, channel][verdict] += int(count)
        if reason == "crash.attempt_open":
            result.open_at_crash += int(count)
    result.fenced = int(ledger.query("SELECT count(*) FROM events WHERE kind = 'late_outcome'")[0][0])
    result.accepted = len(accepted)
    result.states = collections.Counter(settled.values())
    result.appended_again = sum(wish.appended > 1 for wish in wishes)

    wrong = result.wrong
    wrong["lost"] = sorted(accepted - settled.keys())
    wrong["vanished"] = sorted(seen - accepted)
    wrong["unanswered"] = [wish.id for wish in wishes if wish.id not in accepted and wish.id not in rejected]
    for wish in wishes:
        for channel in wish.channels:
            receipts = records.receipts.get((wish.number, channel), [])
            judge(wish, channel, receipts, attempts[wish.id, channel], fault, result)
            if settled.get(wish.id) == "unknown" and attempts[wish.id, channel]["unknown"] and receipts:
                result.arrived += 1
    known = {(wish.number, channel) for wish in wishes for channel in wish.channels}
    wrong["not told"] += [f"recipient {key}" for key in records.receipts.keys() - known]
    return result


def judge(wish, channel, receipts, attempts, fault, result):
    """One step of one decision."""
    wrong, count = result.wrong, len(receipts)
    certain, possible = attempts["accepted"], attempts["accepted"] + attempts["unknown"]
    if count < certain:
        wrong["not received"].append(wish.id)
    if count and not possible:
        wrong["not told"].append(wish.id)
    elif count > possible:
        wrong["over the bound"].append(wish.id)
    if wish.is_marketing or channel == "sms":
        if count > 1:
            wrong["twice"].append(wish.id)
    else:
        result.repeats += max(0, count - 1)
        result.repeats_possible += max(0, possible - 1)
        if channel == "email" and len({receipt.message_id for receipt in receipts}) > 1:
            wrong["message-id"].append(wish.id)
    for receipt in receipts:
        after = receipt.at - wish.expires_at if wish.expires_at else 0
        before = wish.not_before - receipt.at if wish.not_before else 0
        # Less than that is the time on the wire.
        if after > 1:
            result.late[wish.id] = round(after, 3)
        if before > 0:
            result.early[wish.id] = round(before, 3)
        if after > fault.late:
            wrong["late"].append(wish.id)
        if before > fault.early:
            wrong["early"].append(wish.id)
