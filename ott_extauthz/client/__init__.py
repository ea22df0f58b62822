"""WHERE does an application get a fresh token for every call?  A pool, the issuer over gRPC, three HTTP clients."""
