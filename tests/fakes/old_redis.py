"""A server that says it is Redis 6.2: loads any script, and fails what came with 7.0, as that one does."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import hiredis

INFO = b"# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n"


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        reader = hiredis.Reader()
        while data := self.request.recv(65536):
            reader.feed(data)
            while (words := reader.gets()) is not False:
                self.request.sendall(_answer([bytes(word).upper() for word in words]))


def _answer(words: list[bytes]) -> bytes:
    if words[0] == b"INFO":
        return b"$%d\r\n%s\r\n" % (len(INFO), INFO)
    if words[0] == b"SCRIPT":
        return b"$40\r\n" + b"0" * 40 + b"\r\n"
    if words[0] == b"EVALSHA":
        return b"-ERR Error running script (call to f_0): @user_script:46: ERR syntax error\r\n"
    return b"-ERR unknown command\r\n"


@contextmanager
def old_redis() -> Iterator[str]:
    """Have one for the length of a block; yields its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Connection) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
