"""What must be so before gRPC is imported?  Its C library writes to standard error itself, past the log's own thread.

It has a line for every failed TLS handshake, which anybody can cause: no JSON, without a bound, and one that waits
where nobody reads.  Errors stay; who looks for a handshake sets ``GRPC_VERBOSITY=info``.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
