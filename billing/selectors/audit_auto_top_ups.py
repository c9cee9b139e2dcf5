"""What the audit asks of auto top-up: nothing beyond what was agreed to, no money past an order."""

from __future__ import annotations

CHECKS: dict[str, str] = {
    "auto top-up stays within what was agreed to": """
        SELECT 'billing_autotopup', t.id, 'threshold, price, maximum',
               concat_ws(', ', c.threshold_minor, c.price_minor, c.monthly_max_minor) || ' at most',
               concat_ws(', ', t.threshold_minor, t.price_minor, t.monthly_max_minor)
        FROM billing_autotopup t JOIN billing_autotopupconsent c ON c.id = t.consent_id
        WHERE t.threshold_minor > c.threshold_minor OR t.price_minor > c.price_minor
           OR t.monthly_max_minor > c.monthly_max_minor OR t.customer_id <> c.customer_id""",
    "charge of auto top-up is its order's": """
        SELECT 'billing_autotopupcharge', g.id, 'order',
               CASE g.state WHEN 'paid' THEN 'paid, or its money unapplied'
                            WHEN 'pending' THEN 'open' ELSE 'not paid' END
                 || ', at most ' || c.price_minor || ' for ' || c.customer_id,
               concat_ws(', ', o.status, o.subtotal_minor || ' for ' || o.customer_id)
        FROM billing_autotopupcharge g
        JOIN billing_autotopupconsent c ON c.id = g.consent_id
        JOIN billing_order o ON o.id = g.order_id
        WHERE o.subtotal_minor > c.price_minor OR o.customer_id <> c.customer_id
           OR CASE g.state WHEN 'paid' THEN NOT EXISTS (
                               SELECT FROM billing_payment p
                               WHERE p.order_id = o.id OR p.external_id = g.external_id)
                           WHEN 'pending' THEN o.status <> 'open'
                           ELSE o.status IN ('open', 'paid') END""",
}
