"""Records by concept: accounts, ledger, statements, runs, open items, events."""

from recon.models.accounts import (
    Account,
    AccountKind,
    AccountRule,
    AmountColumn,
    ImportProfile,
    Sign,
    Strategy,
)
from recon.models.closings import PeriodClosing
from recon.models.connectors import Connector, ConnectorSync, PulledTransaction, SyncState
from recon.models.discrepancies import Discrepancy, DiscrepancyKind
from recon.models.events import Event, Via
from recon.models.fields import IdBlock, Side, reserve_blocks, reserve_ids
from recon.models.items import ItemNote, ItemState, OpenItem, PassedOver, RowPart
from recon.models.keys import ApiKey, KeyScope
from recon.models.ledger import FINAL_STATUSES, LedgerEntry, LedgerImport
from recon.models.requests import ApiRequest
from recon.models.runs import (
    Claim,
    DifferenceType,
    Match,
    MatchDifference,
    MatchingRun,
    MatchRow,
    MatchRunnerUp,
    MatchState,
    Origin,
    RunKind,
    RunRule,
    RunStage,
    RunState,
    UnmatchedItem,
)
from recon.models.statements import (
    LoadState,
    StagedFile,
    Statement,
    StatementBalance,
    StatementLine,
    StatementRowError,
)
from recon.models.webhooks import (
    DeliveryState,
    HookEvent,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "FINAL_STATUSES",
    "Account",
    "AccountKind",
    "AccountRule",
    "AmountColumn",
    "ApiKey",
    "ApiRequest",
    "Claim",
    "Connector",
    "ConnectorSync",
    "DeliveryState",
    "DifferenceType",
    "Discrepancy",
    "DiscrepancyKind",
    "Event",
    "HookEvent",
    "IdBlock",
    "ImportProfile",
    "ItemNote",
    "ItemState",
    "KeyScope",
    "LedgerEntry",
    "LedgerImport",
    "LoadState",
    "Match",
    "MatchDifference",
    "MatchRow",
    "MatchRunnerUp",
    "MatchState",
    "MatchingRun",
    "OpenItem",
    "Origin",
    "PassedOver",
    "PeriodClosing",
    "PulledTransaction",
    "RowPart",
    "RunKind",
    "RunRule",
    "RunStage",
    "RunState",
    "Side",
    "Sign",
    "StagedFile",
    "Statement",
    "StatementBalance",
    "StatementLine",
    "StatementRowError",
    "Strategy",
    "SyncState",
    "UnmatchedItem",
    "Via",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "reserve_blocks",
    "reserve_ids",
]
