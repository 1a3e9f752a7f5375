"""A port that leads to another one while it is open."""

import contextlib
import socket
import threading


class Gate:
    """Closed at first: connections are refused. `listen` accepts them without an answer, `open` forwards them."""

    def __init__(self, target: int, port: int) -> None:
        self.port = port
        self._target = target
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def listen(self) -> None:
        """Accept connections and never answer."""
        self._listener = socket.create_server(("127.0.0.1", self.port))

    def open(self) -> None:
        """Forward connections."""
        self.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in (self._listener, *self._sockets):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
