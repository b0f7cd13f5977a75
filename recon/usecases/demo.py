"""The demo: a shop's month, reconciled once, and a practice example; signed in to by a user of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from recon.demo import practice
from recon.demo.shop import shop_month
from recon.models import Account, AccountRule, MatchingRun, RunKind, Via
from recon.usecases.accounts.scope import create_account
from recon.usecases.events import Actor, record
from recon.usecases.imports.importing import import_ledger, import_statement
from recon.usecases.runs.starting import start_run
from rules.authoring import create_rule
from rules.bodies import read_body
from rules.gallery import EXAMPLES, GALLERY
from rules.models import MatchingRule, RuleVersion

SHOP = "Web shop, card processor"
PRACTICE = "Practice example"
_CASCADE = ("amount-and-reference", "card-processor-payouts", "invoice-payments", "amount-and-date")


@dataclass(frozen=True)
class Demo:
    """What was made. The password is known here only; the database has its hash."""

    username: str
    password: str
    runs: tuple[MatchingRun, ...]


def demo_exists() -> bool:
    """True once the demo's account is there."""
    return Account.objects.filter(name=SHOP).exists()


def load_demo() -> Demo:
    """Make the demo on a database that does not have it yet."""
    password = secrets.token_urlsafe(12)
    user, _ = User.objects.get_or_create(username="demo", defaults={"is_staff": True, "is_superuser": True})
    user.set_password(password)
    user.save()
    by = Actor(user, Via.COMMAND)
    return Demo(user.username, password, (_shop(by), *_practice(by)))


def _shop(by: Actor) -> MatchingRun:
    """The month up to yesterday, through a cascade of the example rules from strict to loose."""
    texts = {each.slug: each.text for each in (*EXAMPLES, *GALLERY.values())}
    statement_file, ledger_file = shop_month(timezone.now().date() - timedelta(days=1))
    account = create_account(by, name=SHOP, scope={"owned": True}, currencies=["EUR"])
    versions = _rules_of(by, account, [texts[slug] for slug in _CASCADE])
    import_ledger(by, account, ledger_file, "web-shop-orders.csv")
    statement = import_statement(by, account, statement_file, "processor-month.csv", label="processor")
    return start_run(by, account, statement, versions, kind=RunKind.INSTANT, is_dry_run=False)


def _practice(by: Actor) -> list[MatchingRun]:
    """A dry run of each rule, so that the difference of one percent is there to compare."""
    account = create_account(by, name=PRACTICE, scope={"owned": True}, currencies=["USD"])
    versions = _rules_of(by, account, [practice.WITHIN_ONE_PERCENT, practice.EXACT])
    import_ledger(by, account, practice.ledger_csv(), "practice-ledger.csv")
    statement = import_statement(by, account, practice.statement_csv(), "practice-statement.csv")
    return [
        start_run(by, account, statement, [version], kind=RunKind.INSTANT, is_dry_run=True) for version in versions
    ]


def _rules_of(by: Actor, account: Account, texts: list[str]) -> list[RuleVersion]:
    """The account's ordered rule set; a rule of that name is used if there is one."""
    with transaction.atomic():
        rules = [_rule(by, text) for text in texts]
        places = enumerate(rules, start=1)
        AccountRule.objects.bulk_create(AccountRule(account=account, rule=rule, position=n) for n, rule in places)
        names = [rule.name for rule in rules]
        record(by, "rule set changed", "account", account.pk, account_id=account.pk, after={"rules": names})
    return [rule.current for rule in rules]


def _rule(by: Actor, text: str) -> MatchingRule:
    name = str(read_body(text)["name"])
    return MatchingRule.objects.listed().filter(name=name).first() or create_rule(by, text)
