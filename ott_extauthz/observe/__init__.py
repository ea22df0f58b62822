"""WHAT do we tell?  Listeners: audit, metrics, log."""
