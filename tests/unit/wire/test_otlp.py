"""Our OTLP is OTLP: byte for byte what OpenTelemetry's own encoder makes of these spans, but for the trace's flags."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ott_extauthz._proto.ott.otlp.v1.spans_pb2 import ExportRequest
from ott_extauthz.wire.otlp import export_request

TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
RESOURCE = Resource({"service.name": "ott-extauthz", "a": "b"})
SCOPE = InstrumentationScope("ott_extauthz", "1.2")

OF_THE_SDK = bytes.fromhex(
    "0ac0030a2a0a1e0a0c736572766963652e6e616d65120e0a0c6f74742d657874617574687a0a080a016112030a0162129103"
    "0a130a0c6f74745f657874617574687a1203312e321287010a104bf92f3577b34da6a3ce929d0e0e47361208000000000000"
    "0001220800f067aa0ba902b72a0b436865636b2064656269743002390100f323845bd718410900f323845bd7184a140a096f"
    "74742e726f75746512070a0564656269744a1e0a0a6f74742e726561736f6e12100a0e746f6b656e5f7265706c617965647a"
    "02180285010003000012490a104bf92f3577b34da6a3ce929d0e0e473612080000000000000002220800000000000000012a"
    "057370656e643001390200f323845bd718410300f323845bd7187a0085010001000012650a104bf92f3577b34da6a3ce929d"
    "0e0e473612080000000000000003220800000000000000022a0b7370656e642072656469733003390200f323845bd7184103"
    "00f323845bd7184a140a096f74742e61736b656412070a0572656469737a00850100010000123e0a104bf92f3577b34da6a3"
    "ce929d0e0e4736120800000000000000042a04726f6f7430023901000000000000004102000000000000007a008501000100"
    "00"
)
"""What opentelemetry-exporter-otlp-proto-common 1.45.2 encodes, with the messages of opentelemetry-proto 1.45.2."""


def context(span_id: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(TRACE, span_id, is_remote=is_remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def span(name: str, span_id: int, parent: SpanContext | None, kind: SpanKind, *times: int, **more: str) -> ReadableSpan:
    status = Status(StatusCode.ERROR) if "reason" in more else Status(StatusCode.UNSET)
    return ReadableSpan(
        name, context(span_id), parent, RESOURCE, {f"ott.{key}": value for key, value in more.items()}, kind=kind,
        status=status, start_time=times[0], end_time=times[1], instrumentation_scope=SCOPE,
    )  # fmt: skip


def test_what_is_sent_is_what_the_sdk_would_send() -> None:
    caller = context(0x00F067AA0BA902B7, is_remote=True)
    began = 1_790_000_000_000_000_001
    inner = (began + 1, began + 2)
    request = export_request(
        [
            span("Check debit", 1, caller, SpanKind.SERVER, began, began + 8, route="debit", reason="token_replayed"),
            span("spend", 2, context(1), SpanKind.INTERNAL, *inner),
            span("spend redis", 3, context(2), SpanKind.CLIENT, *inner, asked="redis"),
            span("root", 4, None, SpanKind.SERVER, 1, 2),
        ]
    )
    for each in request.resource_spans[0].scope_spans[0].spans:
        assert each.flags & 0xFF == TraceFlags.SAMPLED, "OTLP has the trace's flags there; the SDK leaves them out"
        each.flags &= ~0xFF
    assert request == ExportRequest.FromString(OF_THE_SDK)
    assert request.SerializeToString(deterministic=True) == OF_THE_SDK
