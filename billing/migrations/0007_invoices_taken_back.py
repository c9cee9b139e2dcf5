"""Credit notes whose refund failed, or whose dispute was won, are taken back by a reversal."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_auto_top_ups"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="invoice",
            name="credit_note_corrects_an_invoice",
        ),
        migrations.AddField(
            model_name="invoice",
            name="language",
            field=models.CharField(default="en", max_length=8),
        ),
        migrations.AddField(
            model_name="invoice",
            name="round",
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="corrects",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrections",
                to="billing.invoice",
            ),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="dispute",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="documents",
                to="billing.dispute",
            ),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("invoice", "Invoice"),
                    ("credit_note", "Credit note"),
                    ("reversal", "Reversal of a credit note"),
                ],
                max_length=11,
            ),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="refund",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="documents",
                to="billing.refund",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("corrects", None),
                        ("dispute", None),
                        ("kind", "invoice"),
                        ("payment__isnull", False),
                        ("refund", None),
                    ),
                    models.Q(
                        models.Q(
                            models.Q(("dispute", None), ("refund__isnull", False)),
                            models.Q(("dispute__isnull", False), ("refund", None)),
                            _connector="OR",
                        ),
                        ("corrects__isnull", False),
                        ("kind__in", ["credit_note", "reversal"]),
                        ("payment", None),
                    ),
                    _connector="OR",
                ),
                name="only_invoices_correct_nothing",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("refund", "round", "kind"), name="refund_documented_once_a_round"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("dispute", "round", "kind"), name="dispute_documented_once_a_round"
            ),
        ),
    ]
