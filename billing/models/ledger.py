"""The ledger's tables. Only the SQL functions of ``billing/sql`` write here; see docs/ledger.md."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from billing.money import Asset, Money, asset


class Kind(models.TextChoices):
    """What rule the database keeps for an account's balance."""

    WALLET = "wallet", "wallet (made of lots)"
    BALANCE = "balance", "balance (never below zero)"
    DEBT = "debt", "debt (never above zero)"
    SYSTEM = "system", "system (a sum, no counter)"


class Code(models.TextChoices):
    """What kind of act moved value. Rails and apps may use further codes of their own."""

    PURCHASE = "purchase"
    PROMOTION = "promotion"
    ADJUSTMENT = "adjustment"
    USAGE = "usage"
    USAGE_REFUND = "usage_refund"
    ORDER = "order"
    ORDER_BACK = "order_back"
    REVOKE = "revoke"
    REVOKE_BACK = "revoke_back"
    EXPIRE = "expire"
    DEBT_PAYMENT = "debt_payment"
    DEBT_PAYMENT_BACK = "debt_payment_back"
    RECOGNISE = "recognise"
    RECOGNISE_BACK = "recognise_back"
    FUND = "fund"
    TAX = "tax"
    FEE = "fee"
    APPLY = "apply"
    SHARE = "share"
    DISPUTE = "dispute"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"


class LedgerAccount(models.Model):
    """One place value can be: a customer's wallet or debt, or one of the house's own accounts."""

    owner = models.ForeignKey(
        "accounts.Customer", models.PROTECT, null=True, related_name="ledger_accounts"
    )
    # E.g. wallet, debt, creator, or a system role such as clearing:card.
    role = models.CharField(max_length=40)
    asset = models.CharField(max_length=16)
    kind = models.CharField(max_length=8, choices=Kind)
    # System accounts carry no counters, so that no sale waits for another.
    balance_minor = models.BigIntegerField(null=True)
    held_minor = models.BigIntegerField(null=True)
    # The owner's own limit on spending a month, counted from this anchor in this time zone.
    cap_minor = models.BigIntegerField(null=True)
    cap_anchor_at = models.DateTimeField(null=True)
    cap_time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "role", "asset"], name="one_account_per_role", nulls_distinct=False
            ),
            models.CheckConstraint(
                # System accounts, which have neither, pass.
                condition=Q(kind="debt") | Q(held_minor__gte=0, held_minor__lte=F("balance_minor")),
                name="guarded_account_covers_its_holds",
            ),
            models.CheckConstraint(
                condition=~Q(kind="debt") | Q(balance_minor__lte=0, held_minor=0),
                name="debt_is_never_positive",
            ),
            models.CheckConstraint(
                condition=Q(kind="system", balance_minor=None, held_minor=None)
                | (~Q(kind="system") & Q(balance_minor__isnull=False, held_minor__isnull=False)),
                name="only_system_accounts_have_no_counter",
            ),
            models.CheckConstraint(
                condition=Q(cap_minor=None) | Q(cap_minor__gte=0, cap_anchor_at__isnull=False),
                name="spend_cap_has_an_anchor",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role}:{self.owner_id}" if self.owner_id else self.role

    @property
    def unit(self) -> Asset:
        """The declared asset this account counts."""
        return asset(self.asset)

    @property
    def balance(self) -> Money | None:
        """The counter as Money; None for system accounts, whose balance is a sum."""
        return None if self.balance_minor is None else Money(self.balance_minor, self.unit)


class Transfer(models.Model):
    """Value that moved from one account to another, once per ``key``; never changed, never deleted.

    The foreign keys carry no database constraint: PostgreSQL would share-lock the same few system
    accounts in every sale. The SQL functions check the accounts, and check_ledger looks again.
    """

    source = models.ForeignKey(
        LedgerAccount,
        models.PROTECT,
        related_name="transfers_out",
        db_constraint=False,
        db_index=False,
    )
    target = models.ForeignKey(
        LedgerAccount,
        models.PROTECT,
        related_name="transfers_in",
        db_constraint=False,
        db_index=False,
    )
    amount_minor = models.BigIntegerField()
    code = models.CharField(max_length=32)
    # Names the cause, e.g. stripe:pi_123:fund: the same cause moves value once.
    key = models.CharField(max_length=200)
    # What belongs to one business act shares a group.
    group = models.CharField(max_length=200, db_column="group_key")
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField()
    reverses = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="reversals",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        default_permissions = ("view",)
        # Named here, not on the fields: those would each get a second index for LIKE, and every
        # index is paid for in every transfer.
        constraints = [
            models.UniqueConstraint(fields=["key"], name="one_transfer_per_key"),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0), name="transfer_amount_positive"
            ),
            models.CheckConstraint(
                condition=~Q(source=F("target")), name="transfer_goes_somewhere"
            ),
        ]
        indexes = [
            models.Index(fields=["source", "created_at", "id"], name="transfer_out_by_time"),
            models.Index(fields=["target", "created_at", "id"], name="transfer_in_by_time"),
            models.Index(fields=["group"], name="transfer_by_group"),
            # For figures of a range of days: costs a transfer next to nothing, as rows come in
            # the order of time.
            BrinIndex(
                fields=["occurred_at"],
                name="transfer_by_day",
                pages_per_range=32,
                autosummarize=True,
            ),
            models.Index(
                fields=["reverses"], name="transfer_reversals", condition=Q(reverses__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class AccountSnapshot(models.Model):
    """A system account's balance from every transfer created before ``taken_at``.

    Taken a day late, so that no transaction which began before ``taken_at`` is still open.
    """

    account = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="snapshots")
    taken_at = models.DateTimeField()
    balance_minor = models.DecimalField(max_digits=38, decimal_places=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "taken_at"], name="one_snapshot_a_moment")
        ]

    def __str__(self) -> str:
        return f"{self.balance_minor} at {self.taken_at:%Y-%m-%d}"
