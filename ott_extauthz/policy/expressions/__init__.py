"""MAY this very request pass?  Conditions of the policy, written in CEL (https://cel.dev): pure.

How a caller uses it:

- at load: ``condition.compiled(text)`` for ``when``, ``condition.compiled(text, denies=True)`` for ``deny_when``.  It
  raises :class:`~ott_extauthz.policy.expressions.faults.ExpressionError` with line and column inside the text;
  ``Condition.warnings`` belongs into ``policy check``.
- ``Condition.needs_body`` and ``Condition.needs_asn`` say what must be fetched; read a body with
  :func:`ott_extauthz.model.json_body.json_body` and refuse the request on a Reason.
- per request: build one :class:`~ott_extauthz.policy.expressions.situation.Situation`; it converts nothing.  Then
  ``condition.evaluate(situation)``; only the variables that the condition names are converted.
- ``when`` lets pass if and only if ``outcome.permits()``; ``deny_when`` refuses if and only if ``outcome.forbids()``.
  An error does not permit, and forbids.  An outcome has no truth value of its own: ``if outcome`` raises.
- ``outcome.error`` may be logged and shown by ``explain``: it names fields of the policy, never a request's values.
"""
