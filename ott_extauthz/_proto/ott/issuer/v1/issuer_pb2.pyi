from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MintRequest(_message.Message):
    __slots__ = ("audience", "scopes", "count", "lifetime_ms", "authorization_details", "htm", "htp", "digest", "binding")
    class Binding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CERTIFICATE: _ClassVar[MintRequest.Binding]
        WORKLOAD: _ClassVar[MintRequest.Binding]
    CERTIFICATE: MintRequest.Binding
    WORKLOAD: MintRequest.Binding
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_MS_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_DETAILS_FIELD_NUMBER: _ClassVar[int]
    HTM_FIELD_NUMBER: _ClassVar[int]
    HTP_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    audience: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    count: int
    lifetime_ms: int
    authorization_details: str
    htm: str
    htp: str
    digest: bytes
    binding: MintRequest.Binding
    def __init__(self, audience: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., lifetime_ms: _Optional[int] = ..., authorization_details: _Optional[str] = ..., htm: _Optional[str] = ..., htp: _Optional[str] = ..., digest: _Optional[bytes] = ..., binding: _Optional[_Union[MintRequest.Binding, str]] = ...) -> None: ...

class MintResponse(_message.Message):
    __slots__ = ("tokens", "issued_at_ms", "expires_at_ms", "scopes")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    issued_at_ms: int
    expires_at_ms: int
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ..., issued_at_ms: _Optional[int] = ..., expires_at_ms: _Optional[int] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class MintStreamResponse(_message.Message):
    __slots__ = ("minted", "refused")
    MINTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    minted: MintResponse
    refused: Refusal
    def __init__(self, minted: _Optional[_Union[MintResponse, _Mapping]] = ..., refused: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("error", "description", "retry_after_ms")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    error: str
    description: str
    retry_after_ms: int
    def __init__(self, error: _Optional[str] = ..., description: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...
