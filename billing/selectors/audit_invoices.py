"""What the audit asks our own invoices: numbers without gaps, amounts that were really paid."""

from __future__ import annotations

CHECKS: dict[str, str] = {
    "invoice numbers have no gap": """
        SELECT 'billing_invoiceseries', s.name, 'numbers 1 to', s.last_number,
               concat_ws(' of ', count(i.number), max(i.number))
        FROM billing_invoiceseries s
        LEFT JOIN billing_invoice i ON i.series = s.name AND i.number IS NOT NULL
        GROUP BY s.name, s.last_number
        HAVING count(i.number) <> s.last_number OR coalesce(max(i.number), 0) <> s.last_number""",
    # A lost dispute may later freeze what a failed refund put back; its note was issued before.
    # What reconciliation corrected is another amount than the payment says.
    "invoice says what was paid or went back": """
        SELECT 'billing_invoice', i.id, 'total, tax', concat_ws(', ',
                   coalesce(p.amount_minor, r.amount_minor, d.frozen_minor),
                   coalesce(p.tax_minor, r.tax_minor, d.frozen_tax_minor)),
               concat_ws(', ', i.subtotal_minor - i.discount_minor + i.tax_minor, i.tax_minor)
        FROM billing_invoice i
        LEFT JOIN billing_payment p ON p.id = i.payment_id
        LEFT JOIN billing_refund r ON r.id = i.refund_id
        LEFT JOIN billing_dispute d ON d.id = i.dispute_id
        LEFT JOIN billing_order o ON o.id = i.order_id
        WHERE NOT EXISTS (
            SELECT FROM billing_transfer t WHERE t.group_key IN (
                'correction:' || p.rail || ':' || p.external_id,
                'correction:' || p.rail || ':' || (o.snapshot -> 'term' ->> 'invoice')))
          AND CASE WHEN i.dispute_id IS NOT NULL
              THEN i.subtotal_minor - i.discount_minor + i.tax_minor > d.amount_minor
              ELSE (i.subtotal_minor - i.discount_minor + i.tax_minor, i.tax_minor)
                   IS DISTINCT FROM (coalesce(p.amount_minor, r.amount_minor),
                                     coalesce(p.tax_minor, r.tax_minor)) END""",
}
