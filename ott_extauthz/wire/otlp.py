"""How do spans read in OTLP?  The SDK's spans in, one export request out; texts are their only attributes."""

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from ott_extauthz._proto.ott.otlp.v1.spans_pb2 import (
    Attribute,
    ExportRequest,
    Resource,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    Status,
    Text,
)

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200


def export_request(spans: Sequence[ReadableSpan]) -> ExportRequest:
    """Return a batch as a message; all of it is one process's, and one program's."""
    first = spans[0]
    scope = first.instrumentation_scope
    named = Scope(name=scope.name, version=scope.version or "") if scope else Scope()
    resource = Resource(attributes=_attributes(first.resource.attributes))
    of_scope = ScopeSpans(scope=named, spans=map(_span, spans))
    return ExportRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[of_scope])])


def _span(span: ReadableSpan) -> Span:
    context, parent = span.context, span.parent
    if context is None:
        raise ValueError("a span without an id")
    return Span(
        trace_id=context.trace_id.to_bytes(_TRACE_ID_BYTES),
        span_id=context.span_id.to_bytes(_SPAN_ID_BYTES),
        parent_span_id=b"" if parent is None else parent.span_id.to_bytes(_SPAN_ID_BYTES),
        name=span.name,
        kind=span.kind.value + 1,
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        attributes=_attributes(span.attributes or {}),
        status=Status(code=span.status.status_code.value),
        flags=_flags(context, parent),
    )


def _flags(context: SpanContext, parent: SpanContext | None) -> int:
    is_remote = parent is not None and parent.is_remote
    return context.trace_flags | _HAS_IS_REMOTE | (_IS_REMOTE if is_remote else 0)


def _attributes(found: Mapping[str, object]) -> list[Attribute]:
    return [Attribute(key=key, value=Text(string_value=str(value))) for key, value in found.items()]
