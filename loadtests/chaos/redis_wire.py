"""As much of a Redis client as a producer needs: one connection, commands in a pipeline."""
import socket


class RedisDown(Exception):
    """The server is away, or the connection broke: what was sent last may or may not have been carried out."""


class RedisRefusal(Exception):
    """An error reply."""


class Redis:
    def __init__(self, port):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError as error:
            raise RedisDown(str(error)) from error
        self.reader = self.socket.makefile("rb")

    def pipeline(self, commands):
        """The replies, in order; an error reply is an element, not an exception."""
        text = bytearray()
        for command in commands:
            text += b"*%d\r\n" % len(command)
            for word in command:
                word = word if isinstance(word, bytes) else str(word).encode()
                text += b"$%d\r\n%s\r\n" % (len(word), word)
        try:
            self.socket.sendall(text)
            return [self._reply() for _ in commands]
        except (OSError, ValueError) as error:
            raise RedisDown(str(error)) from error

    def ask(self, *command):
        reply = self.pipeline([command])[0]
        if isinstance(reply, RedisRefusal):
            # Still reading its file after a start is away, too.
            raise RedisDown(str(reply)) if str(reply).startswith("LOADING") else reply
        return reply

    def close(self):
        self.reader.close()
        self.socket.close()

    def _reply(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the line was cut")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return RedisRefusal(rest.decode())
        if kind == b":":
            return int(rest)
        count = int(rest)
        if count < 0:
            return None
        if kind == b"*":
            return [self._reply() for _ in range(count)]
        data = self.reader.read(count + 2)
        if len(data) < count + 2:
            raise OSError("the line was cut")
        return data[:-2]
