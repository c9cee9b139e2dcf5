"""A customer's invoices and credit notes, as they were issued."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.models import Invoice
from common.errors import NotFound
from common.pagination import page


def invoices(
    customer: Customer, *, limit: int, cursor: str | None = None
) -> tuple[list[Invoice], str | None]:
    """Issued documents, newest first, and where to go on from. Raises CursorInvalid."""
    return page(_issued(customer), ordering=("-id",), limit=limit, cursor=cursor)


def all_invoices(customer: Customer) -> Iterator[Invoice]:
    """Every issued document, oldest first, read in pieces."""
    return _issued(customer).order_by("pk").iterator(chunk_size=500)


def invoice(customer: Customer, invoice_id: UUID) -> Invoice:
    """One issued document of this customer. Raises NotFound for anybody else's."""
    found = _issued(customer).filter(pk=invoice_id).first()
    if found is None:
        raise NotFound(_("There is no such invoice."))
    return found


def _issued(customer: Customer) -> QuerySet[Invoice]:
    issued = Invoice.objects.filter(customer=customer, number__isnull=False)
    return issued.select_related("corrects")
