"""The ledger's tables. Only the SQL functions of ``billing/sql`` write here; see docs/ledger.md."""

from __future__ import annotations

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
                condition=~Q(kind__in=["wallet", "balance"])
                | Q(held_minor__gte=0, held_minor__lte=F("balance_minor")),
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
        LedgerAccount, models.PROTECT, related_name="transfers_out", db_constraint=False
    )
    target = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="transfers_in", db_constraint=False
    )
    amount_minor = models.BigIntegerField()
    code = models.CharField(max_length=32)
    # Names the cause, e.g. stripe:pi_123:fund: the same cause moves value once.
    key = models.CharField(max_length=200, unique=True)
    # What belongs to one business act shares a group.
    group = models.CharField(max_length=200, db_column="group_key", db_index=True)
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
        constraints = [
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
            models.Index(
                fields=["reverses"], name="transfer_reversals", condition=Q(reverses__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Lot(models.Model):
    """One grant of credits or units: what is left of it, until when, and what it cost.

    Every unit granted is in exactly one place: remaining, used, revoked or expired. Every cent of
    its cost is deferred until it is recognised (sales), breakage, or refunded.
    """

    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="lots", db_constraint=False, db_index=False
    )
    # What brought it: a grant, or the return of a spend whose own lot had expired.
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="lots", db_constraint=False)
    replaces = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="replacements", db_constraint=False
    )
    granted_minor = models.BigIntegerField()
    remaining_minor = models.BigIntegerField()
    held_minor = models.BigIntegerField(default=0)
    used_minor = models.BigIntegerField(default=0)
    revoked_minor = models.BigIntegerField(default=0)
    expired_minor = models.BigIntegerField(default=0)
    # Says whether anything remains; a column, so that updates of an open lot touch no index.
    is_open = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True)
    priority = models.SmallIntegerField(default=0)
    promotional = models.BooleanField(default=False)
    # What gave it, e.g. order:<id>: refunds find their lots by it.
    origin = models.CharField(max_length=100)
    # Money it was bought with, net of tax, and where that money is now.
    cost_minor = models.BigIntegerField(default=0)
    cost_asset = models.CharField(max_length=16, blank=True)
    recognised_minor = models.BigIntegerField(default=0)
    breakage_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    # Counts bookings of revenue, so that each has a key of its own.
    revenue_bookings = models.IntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    held_minor__gte=0,
                    held_minor__lte=F("remaining_minor"),
                    remaining_minor__lte=F("granted_minor"),
                    granted_minor__gt=0,
                ),
                name="lot_covers_its_holds",
            ),
            models.CheckConstraint(
                condition=Q(used_minor__gte=0, revoked_minor__gte=0, expired_minor__gte=0)
                & Q(
                    granted_minor=F("remaining_minor")
                    + F("used_minor")
                    + F("revoked_minor")
                    + F("expired_minor")
                ),
                name="every_unit_of_a_lot_is_somewhere",
            ),
            models.CheckConstraint(
                condition=Q(recognised_minor__gte=0, breakage_minor__gte=0, refunded_minor__gte=0)
                & Q(
                    cost_minor__gte=F("recognised_minor")
                    + F("breakage_minor")
                    + F("refunded_minor")
                ),
                name="a_lot_earns_no_more_than_it_cost",
            ),
            models.CheckConstraint(
                condition=Q(is_open=True, remaining_minor__gt=0)
                | Q(is_open=False, remaining_minor=0),
                name="lot_is_open_while_units_remain",
            ),
        ]
        indexes = [
            models.Index(
                "account",
                "priority",
                F("expires_at").asc(nulls_last=True),
                F("promotional").desc(),
                "id",
                name="lot_burn_order",
                condition=Q(is_open=True),
            ),
            models.Index(
                fields=["expires_at"],
                name="lot_due_to_expire",
                condition=Q(is_open=True, expires_at__isnull=False),
            ),
            models.Index(
                fields=["id"],
                name="lot_with_deferred_money",
                condition=Q(
                    cost_minor__gt=F("recognised_minor") + F("breakage_minor") + F("refunded_minor")
                ),
            ),
            models.Index(fields=["account", "id"], name="lot_by_account"),
            models.Index(fields=["origin"], name="lot_by_origin"),
        ]

    def __str__(self) -> str:
        return f"lot {self.pk} of {self.origin}"

    @property
    def deferred_minor(self) -> int:
        """Money of its cost that is neither earned nor given back."""
        return self.cost_minor - self.recognised_minor - self.breakage_minor - self.refunded_minor


class LotUse(models.Model):
    """Which transfer took how much from which lot, and how much of that came back."""

    transfer = models.ForeignKey(
        Transfer, models.PROTECT, related_name="lot_uses", db_constraint=False
    )
    lot = models.ForeignKey(Lot, models.PROTECT, related_name="uses", db_constraint=False)
    amount_minor = models.BigIntegerField()
    returned_minor = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    amount_minor__gt=0,
                    returned_minor__gte=0,
                    returned_minor__lte=F("amount_minor"),
                ),
                name="lot_use_returns_no_more_than_it_took",
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} of lot {self.lot_id}"


class HoldState(models.TextChoices):
    """Where a hold stands; all but ``held`` are final."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


class Hold(models.Model):
    """Units set aside from certain lots until captured, released or past their deadline."""

    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="holds", db_constraint=False
    )
    amount_minor = models.BigIntegerField()
    captured_minor = models.BigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=HoldState, default=HoldState.HELD)
    code = models.CharField(max_length=32)
    key = models.CharField(max_length=200, unique=True)
    group = models.CharField(max_length=200, db_column="group_key", db_index=True)
    # Null: it waits for a decision, e.g. a refund that the provider has not confirmed.
    deadline_at = models.DateTimeField(null=True)
    # The transfer that captured it.
    captured_by = models.ForeignKey(
        Transfer,
        models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # The month whose spend cap it counts against; null when it counts against none.
    cap_period_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    amount_minor__gt=0,
                    captured_minor__gte=0,
                    captured_minor__lte=F("amount_minor"),
                ),
                name="hold_captures_no_more_than_it_holds",
            ),
            models.CheckConstraint(
                condition=Q(state="captured", captured_minor__gt=0, captured_by__isnull=False)
                | (~Q(state="captured") & Q(captured_minor=0, captured_by=None)),
                name="only_captured_holds_captured",
            ),
        ]
        indexes = [
            models.Index(fields=["deadline_at"], name="hold_due", condition=Q(state="held")),
        ]

    def __str__(self) -> str:
        return self.key


class HoldLot(models.Model):
    """How much of a hold is pinned on which lot; captured in id order."""

    hold = models.ForeignKey(Hold, models.PROTECT, related_name="pins", db_constraint=False)
    lot = models.ForeignKey(Lot, models.PROTECT, related_name="pins", db_constraint=False)
    amount_minor = models.BigIntegerField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="pin_amount_positive")
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} of lot {self.lot_id} for {self.hold_id}"


class SpendCapPeriod(models.Model):
    """What counted against an account's spend cap in one month of its anchor."""

    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="cap_periods", db_constraint=False
    )
    starts_at = models.DateTimeField()
    used_minor = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "starts_at"], name="one_cap_period_a_month"),
            models.CheckConstraint(condition=Q(used_minor__gte=0), name="cap_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.used_minor} since {self.starts_at:%Y-%m-%d}"


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
