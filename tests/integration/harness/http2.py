"""
A remote service that speaks HTTP/2 over TLS, and misbehaves to order: a script is called in the connection's thread when a request
is complete, and may do anything to the connection.
"""

import socket
import ssl
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


class Stream:
    def __init__(self, connection, number, headers):
        self.connection, self.number = connection, number
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.body = b""

    @property
    def id(self):
        return self.headers["webhook-id"]

    def answer(self, status=200, headers=()):
        self.connection.h2.send_headers(self.number, [(":status", str(status)), *headers], end_stream=True)

    def reset(self, code):
        self.connection.h2.reset_stream(self.number, code)


class Connection:
    def __init__(self, receiver, sock, number):
        self.receiver, self.sock, self.number = receiver, sock, number
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.streams = {}
        self.complete = []  # in the order of arrival

    def go_away(self, last, code=0):
        """Says that streams after `last` have not been looked at. h2 itself would take no more frames after this, and so it is by hand."""
        payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
        self.flush()
        self.sock.sendall(len(payload).to_bytes(3, "big") + b"\x07\x00" + (0).to_bytes(4, "big") + payload)

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def serve(self):
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.receiver.streams_max})
        self.flush()
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                self._take(event)
            self.flush()

    def _take(self, event):
        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = Stream(self, event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self.streams[event.stream_id]
            self.complete.append(stream)
            self.receiver.note(stream)
            self.receiver.script(stream)


class Http2Receiver:
    """
    `other`: called with the socket of a connection on which HTTP/1.1 was agreed. After `secured_max` connections it breaks off each
    further one before the TLS handshake.
    """

    def __init__(self, context, script=lambda stream: stream.answer(), other=None, streams_max=100, secured_max=1000, at="127.0.0.1"):
        self.script, self.other, self.streams_max, self.secured_max = script, other, streams_max, secured_max
        self.context = context
        self.lock = threading.Lock()
        self.requests, self.connections, self.agreed = [], 0, []
        self.listener = socket.create_server((at, 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path="/hook"):
        return f"https://127.0.0.1:{self.port}{path}"

    @property
    def ids(self):
        with self.lock:
            return [stream.id for stream in self.requests]

    def note(self, stream):
        with self.lock:
            self.requests.append(stream)

    def stop(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if number > self.secured_max:
                sock.close()
                return
            tls = self.context.wrap_socket(sock, server_side=True)
            self.agreed.append(tls.selected_alpn_protocol())
            if tls.selected_alpn_protocol() == "h2":
                Connection(self, tls, number).serve()
            elif self.other:
                self.other(tls)
            tls.close()
        except (OSError, ssl.SSLError, h2.exceptions.ProtocolError):
            sock.close()
