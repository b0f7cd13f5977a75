"""Rules to start from, and the three example rules of the rule API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rules.authoring import Author, create_rule
from rules.bodies import read_body, write_json
from rules.models import MatchingRule


@dataclass(frozen=True)
class GalleryRule:
    """A rule to start from. ``when`` says for whom it is; ``text`` is its JSON in the shape of the rule API."""

    slug: str
    when: str
    text: str

    @property
    def body(self) -> dict[str, Any]:
        return read_body(self.text)


EXAMPLES = (
    GalleryRule(
        "amount-and-reference",
        "Both sides carry the same reference, for example the payment id of a processor.",
        """{
  "name": "Same amount and reference",
  "description": "The amount to the cent, and the same reference on both sides.",
  "criteria": [
    {"field": "amount", "operator": "eq", "allowable_drift": 0.01},
    {"field": "reference", "operator": "eq"}
  ]
}""",
    ),
    GalleryRule(
        "amount-and-date",
        "There is no common reference, but few payments share an amount within two days.",
        """{
  "name": "Same amount within two days",
  "description": "The same amount, booked at most two days apart.",
  "criteria": [
    {"field": "amount", "operator": "eq", "allowable_drift": 0},
    {"field": "date", "operator": "within_range", "value": "2d"}
  ]
}""",
    ),
    GalleryRule(
        "invoice-payments",
        "Customers pay invoices and write the invoice number into the text of the transfer.",
        """{
  "name": "Invoice payments",
  "description": "Transfers that name an invoice (INV-), with the same amount.",
  "criteria": [
    {"field": "description", "operator": "contains", "value": "INV-"},
    {"field": "amount", "operator": "eq"}
  ]
}""",
    ),
)
"""The examples that an empty installation starts with."""

STARTING_RULES = (
    GalleryRule(
        "card-processor-payouts",
        "A card processor pays out days after the sale, keeps its fee, and repeats the payment id.",
        """{
  "name": "Card processor payouts",
  "description": "The processor's payment id stands in our reference; up to 3% of fees are kept back.",
  "criteria": [
    {"field": "reference", "operator": "contains", "loose": true},
    {"field": "amount", "operator": "within_range", "value": "-3%..0%"},
    {"field": "date", "operator": "within_range", "value": "0d..7d"}
  ],
  "difference_type": "fee"
}""",
    ),
    GalleryRule(
        "bank-statement-exact",
        "The first, strictest rule of a bank account: everything agrees.",
        """{
  "name": "Bank statement, exact",
  "description": "Reference, amount and day are all equal.",
  "criteria": [
    {"field": "reference", "operator": "eq", "loose": true},
    {"field": "amount", "operator": "eq"},
    {"field": "date", "operator": "eq"}
  ]
}""",
    ),
    GalleryRule(
        "invoice-number-in-text",
        "Customers write the invoice number somewhere into the text; our reference is that number.",
        r"""{
  "name": "Invoice number in the text",
  "description": "Takes the invoice number out of the statement's text and compares it with our reference.",
  "criteria": [
    {
      "field": "description", "operator": "eq", "ledger_field": "reference",
      "pattern": "(INV-?\\d{3,})", "loose": true
    },
    {"field": "amount", "operator": "eq"}
  ]
}""",
    ),
    GalleryRule(
        "fees-within-one-percent",
        "The bank or processor deducts a small fee before paying out.",
        """{
  "name": "Fees within 1%",
  "description": "The same reference; what is missing, at most 1%, is a fee.",
  "criteria": [
    {"field": "reference", "operator": "eq", "loose": true},
    {"field": "amount", "operator": "within_range", "value": "-1%..0%"}
  ],
  "difference_type": "fee"
}""",
    ),
    GalleryRule(
        "settlement-t-plus-two",
        "Trades and card sales settle two days after they were booked.",
        """{
  "name": "Settlement at T+2",
  "description": "The same amount, usually two days after our entry; the nearest date decides.",
  "criteria": [
    {"field": "amount", "operator": "eq"},
    {"field": "date", "operator": "within_range", "value": "0d..4d", "expected": "2d"}
  ],
  "on_ambiguity": "date"
}""",
    ),
    GalleryRule(
        "batch-deposits",
        "One deposit on the statement pays many entries that share a batch reference."
        " Run it one line to many entries, grouped by reference.",
        """{
  "name": "Batch deposits by reference",
  "description": "The deposit equals the sum of the entries of its batch.",
  "criteria": [
    {"field": "reference", "operator": "eq", "loose": true},
    {"field": "amount", "operator": "eq"},
    {"field": "date", "operator": "within_range", "value": "0d..5d"}
  ],
  "group_date": "latest"
}""",
    ),
)

GALLERY = {each.slug: each for each in (*EXAMPLES, *STARTING_RULES)}


def seed_examples(by: Author) -> list[MatchingRule]:
    """Create the three example rules if there is no rule at all, and return those created."""
    if MatchingRule.objects.exists():
        return []
    return [create_rule(by, write_json(example.body)) for example in EXAMPLES]
