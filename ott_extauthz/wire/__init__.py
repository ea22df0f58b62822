"""HOW does it arrive and leave?  The only room that sees protobuf, gRPC or HTTP."""
