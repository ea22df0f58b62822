"""The servicer: decode, check, encode.  It answers with a message, whatever happens.

A gRPC error would be Envoy's to interpret, and ``failure_mode_allow`` interprets it as an allow; a denial stays one
under every Envoy setting.  The one exception is cancellation: there is nobody left to answer.
"""

from dataclasses import replace

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from ott_extauthz.check.checker import Checker
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.trace_context import HEADER as TRACEPARENT
from ott_extauthz.ports import CheckObserver, CheckTiming, Clock
from ott_extauthz.wire.decode import JWT_AUTHN, facts_from, request_or_none
from ott_extauthz.wire.encode import last_resort, response_from
from ott_extauthz.wire.peer import PeerCertificates

SERVICE = "envoy.service.auth.v3.Authorization"
MAX_BUDGET_SECONDS = 1.0
"""The longest we work on one Check, also for a caller with no deadline or, like Istio by default, one of minutes."""


class Authorization:
    """Envoy's ``envoy.service.auth.v3.Authorization`` service, on whichever transport it is registered."""

    def __init__(  # noqa: PLR0913 - each by its name, from the one composition root
        self,
        *,
        checker: Checker,
        certificates: PeerCertificates,
        observer: CheckObserver,
        clock: Clock,
        expose_reasons: bool,
        metadata_namespace: str = JWT_AUTHN,
        timing: CheckTiming | None = None,
    ) -> None:
        self._checker = checker
        self._observer = observer
        self._certificates = certificates
        self._clock = clock
        self._expose_reasons = expose_reasons
        self._metadata_namespace = metadata_namespace
        self._timing = timing

    async def check(
        self, request: CheckRequest | None, context: "grpc.aio.ServicerContext[CheckRequest, CheckResponse]"
    ) -> CheckResponse:
        """Answer one Check."""
        remaining: float | None = context.time_remaining()  # grpc.aio says None where no deadline was set
        budget = MAX_BUDGET_SECONDS if remaining is None else min(remaining, MAX_BUDGET_SECONDS)
        if self._timing is not None:
            self._timing.arrived()
        try:
            return await self._answer(request, _traceparent(context), self._clock.monotonic() + budget)
        except Exception as error:  # noqa: BLE001 - an exception would reach Envoy as an RPC error
            self._observer.faulted(type(error).__name__)
            return last_resort()
        finally:
            if self._timing is not None:
                self._timing.answered()

    async def _answer(self, request: CheckRequest | None, traceparent: str, deadline: float) -> CheckResponse:
        facts = self._facts(request, traceparent)
        decision = await self._checker.check(facts, deadline=deadline)
        is_grpc = isinstance(facts, Facts) and facts.is_grpc
        return response_from(decision, is_grpc=is_grpc, expose_reason=self._expose_reasons)

    def _facts(self, request: CheckRequest | None, traceparent: str) -> Facts | Malformed:
        try:
            facts = facts_from(request, self._certificates, self._metadata_namespace)
            return replace(facts, envoy_traceparent=traceparent) if traceparent else facts
        except Exception as error:  # noqa: BLE001 - a request that breaks our reading of it is still refused and audited
            self._observer.faulted(type(error).__name__)
            return Malformed(Reason.REQUEST_MALFORMED, envoy_traceparent=traceparent)

    def handlers(self) -> dict[str, "grpc.RpcMethodHandler[CheckRequest, CheckResponse]"]:
        """Return the method table to register, with a deserializer that turns garbage into None instead of an error."""
        return {
            "Check": grpc.unary_unary_rpc_method_handler(
                self.check,
                request_deserializer=request_or_none,
                response_serializer=CheckResponse.SerializeToString,
            )
        }


def _traceparent(context: "grpc.aio.ServicerContext[CheckRequest, CheckResponse]") -> str:
    """Return what Envoy says of its own span: no header of the request gets into the metadata of the RPC."""
    for key, value in context.invocation_metadata() or ():
        if key == TRACEPARENT:
            return value if isinstance(value, str) else ""
    return ""
