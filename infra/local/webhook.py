"""A server that is told what happens, as an owner's own would be: it checks each signature, and remembers."""

import base64
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time


class Webhook:
    """Listens on a free loopback port."""

    def __init__(self):
        self.key = secrets.token_bytes(24)
        self.told, self.refused = [], []
        self.is_up = True
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):    # noqa: N802  the name that the library calls
                body = self.rfile.read(int(self.headers["content-length"]))
                if not hook.is_up:
                    self.send_response(503)
                    self.end_headers()
                    return
                known = hook.accepts(self.headers, body)
                (hook.told if known else hook.refused).append(json.loads(body))
                self.send_response(204 if known else 401)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        key = base64.b64encode(self.key).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        return f"http://whsec_{key}@127.0.0.1:{self.server.server_port}/backups"

    def accepts(self, headers, body):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(self.key, signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
        return fresh and hmac.compare_digest(right, headers["webhook-signature"])

    def wait_for(self, kind, seconds, backup=None):
        """Whether it was told in time of something of a kind, of one backup or of any."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(told["kind"] == kind and backup in (None, told.get("backupId")) for told in self.told):
                return True
            time.sleep(0.2)
        return False

    def stop(self):
        self.server.shutdown()
