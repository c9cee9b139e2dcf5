"""What the audit asks our own invoices: numbers without gaps, amounts that were really kept."""

from __future__ import annotations

CHECKS: dict[str, str] = {
    "invoice numbers have no gap": """
        SELECT 'billing_invoiceseries', s.name, 'numbers 1 to', s.last_number,
               concat_ws(' of ', count(i.number), max(i.number))
        FROM billing_invoiceseries s
        LEFT JOIN billing_invoice i ON i.series = s.name AND i.number IS NOT NULL
        GROUP BY s.name, s.last_number
        HAVING count(i.number) <> s.last_number OR coalesce(max(i.number), 0) <> s.last_number""",
    # What reconciliation corrected is another amount than the payment says.
    "invoice says what was paid": """
        SELECT 'billing_invoice', i.id, 'total, tax', concat_ws(', ', p.amount_minor, p.tax_minor),
               concat_ws(', ', i.subtotal_minor - i.discount_minor + i.tax_minor, i.tax_minor)
        FROM billing_invoice i
        JOIN billing_payment p ON p.id = i.payment_id
        JOIN billing_order o ON o.id = i.order_id
        WHERE (i.subtotal_minor - i.discount_minor + i.tax_minor, i.tax_minor)
              IS DISTINCT FROM (p.amount_minor, p.tax_minor)
          AND NOT EXISTS (
            SELECT FROM billing_transfer t WHERE t.group_key IN (
                'correction:' || p.rail || ':' || p.external_id,
                'correction:' || p.rail || ':' || (o.snapshot -> 'term' ->> 'invoice')))""",
    # Drafts count: they are written with what they tell of, only their number comes later.
    "credit notes less reversals are what went back": """
        WITH told AS (
            SELECT coalesce(r.payment_id, d.payment_id) AS payment_id,
                   sum(s.sign * (i.subtotal_minor + i.tax_minor)) AS total,
                   sum(s.sign * i.tax_minor) AS tax
            FROM billing_invoice i
            CROSS JOIN LATERAL (SELECT CASE i.kind WHEN 'reversal' THEN -1 ELSE 1 END) s(sign)
            LEFT JOIN billing_refund r ON r.id = i.refund_id
            LEFT JOIN billing_dispute d ON d.id = i.dispute_id
            WHERE i.kind <> 'invoice' GROUP BY 1),
        gone AS (
            SELECT payment_id, sum(total) AS total, sum(tax) AS tax FROM (
                SELECT payment_id, amount_minor, tax_minor FROM billing_refund
                WHERE state = 'succeeded'
                UNION ALL
                SELECT payment_id, frozen_minor, frozen_tax_minor FROM billing_dispute
                WHERE state = 'lost' AND is_frozen) part(payment_id, total, tax)
            GROUP BY 1)
        SELECT 'billing_payment', i.payment_id, 'total, tax',
               concat_ws(', ', coalesce(gone.total, 0), coalesce(gone.tax, 0)),
               concat_ws(', ', coalesce(told.total, 0), coalesce(told.tax, 0))
        FROM billing_invoice i
        LEFT JOIN told ON told.payment_id = i.payment_id
        LEFT JOIN gone ON gone.payment_id = i.payment_id
        WHERE i.kind = 'invoice'
          AND (coalesce(told.total, 0), coalesce(told.tax, 0))
              <> (coalesce(gone.total, 0), coalesce(gone.tax, 0))""",
    "documents correct the right one": """
        SELECT 'billing_invoice', i.id, 'corrects', 'the invoice or note of its own cause',
               concat_ws(' ', c.kind, c.id, c.subtotal_minor, c.tax_minor)
        FROM billing_invoice i
        JOIN billing_invoice c ON c.id = i.corrects_id
        LEFT JOIN billing_refund r ON r.id = i.refund_id
        LEFT JOIN billing_dispute d ON d.id = i.dispute_id
        WHERE CASE i.kind
              WHEN 'credit_note' THEN c.payment_id
                   IS DISTINCT FROM coalesce(r.payment_id, d.payment_id)
              ELSE (c.kind, c.refund_id, c.dispute_id, c.round, c.subtotal_minor, c.tax_minor)
                   IS DISTINCT FROM ('credit_note', i.refund_id, i.dispute_id, i.round,
                                     i.subtotal_minor, i.tax_minor) END""",
}
