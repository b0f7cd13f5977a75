"""What this app tells the rest of the product."""

from __future__ import annotations

from django.dispatch import Signal

rule_changed = Signal()
"""Sent inside the transaction of every change, so that a listener's record stands or falls with it.

Arguments: ``by`` (Author), ``verb`` ("rule created" …), ``rule_id``, ``before`` and ``after`` (plain dict or None).
"""
