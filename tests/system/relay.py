"""A relay between Sluice and a real store, which loses replies on demand."""
import contextlib
import socket
import threading


class Relay:
    """Between Sluice and the store: passes requests on, and loses replies on demand."""

    OF_AN_OBJECT = b"\r\netag: "  # not of a listing

    def __init__(self, port):
        self.store = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.to_lose = 0
        self.mark = b""
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, count, mark=b"HTTP/1.1 200"):
        """The next replies that have `mark` in them: the connection ends instead."""
        with self.lock:
            self.to_lose, self.mark = count, mark.lower()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                store = socket.create_connection(self.store)
                for source, sink, replies in ((client, store, False), (store, client, True)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pass_on, args=(source, sink, replies),
                                     daemon=True).start()

    def _loses(self, content):
        with self.lock:
            if self.to_lose == 0 or self.mark not in content.lower():
                return False
            self.to_lose -= 1
            self.lost += 1
            return True

    def _pass_on(self, source, sink, replies):
        with contextlib.suppress(OSError):
            while content := source.recv(1 << 16):
                if replies and self._loses(content):
                    break
                sink.sendall(content)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.listener.close()


def start_relay(scratch, store):
    relay = Relay(store.port)
    scratch.started.append(relay)
    return relay, {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
