"""Asks slack_sdk, Slack's own library for Python, for its opinion of what chatbridge does.

    slack_sdk_check.py signatures < VECTORS     do its signatures and ours agree?
    slack_sdk_check.py send < EVENTS            signs events as Slack does and sends them to a daemon
    slack_sdk_check.py calls < CALLS            would it make the calls that the daemon made?

Each reads one JSON document and ends with 1 if it disagrees, saying on what.
"""

import inspect
import json
import sys
import threading
import time
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from slack_sdk import WebClient
from slack_sdk.models.blocks import Block
from slack_sdk.models.metadata import Metadata
from slack_sdk.signature import SignatureVerifier


def check_signatures(vectors):
    """Whether the verifier takes what we signed, and turns away what was changed since."""
    wrong = []
    for number, vector in enumerate(vectors):
        verifier = SignatureVerifier(vector["secret"])
        body = vector["body"]

        def valid(body, signature=vector["signature"], timestamp=vector["timestamp"]):
            headers = {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": timestamp}
            return verifier.is_valid_request(body, headers)

        if verifier.generate_signature(timestamp=vector["timestamp"], body=body) != vector["signature"]:
            wrong.append(f"vector {number}: it signs otherwise")
        if not valid(body):
            wrong.append(f"vector {number}: it refuses our signature")
        if valid(body + " ") or valid(body, timestamp=str(int(vector["timestamp"]) - 1)):
            wrong.append(f"vector {number}: it takes our signature for something else")
    return wrong


def send(order):
    """Sends events to `url`, signed with `secret`, and expects the acknowledgement of each."""
    wrong = []
    verifier = SignatureVerifier(order["secret"])
    for number, event in enumerate(order["events"]):
        body = json.dumps(event)
        timestamp = str(int(time.time()))
        signature = verifier.generate_signature(timestamp=timestamp, body=body)
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature,
        }
        request = urllib.request.Request(order["url"], data=body.encode(), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        if status != 200:
            wrong.append(f"event {number}: answered with {status}")
    return wrong


class Recorder(BaseHTTPRequestHandler):
    """A Slack that takes everything and remembers the last call."""

    last = None

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        path = urlsplit(self.path)
        body = self.rfile.read(length).decode()
        type(self).last = {
            "verb": self.command,
            "path": path.path,
            "authorization": self.headers.get("Authorization"),
            "arguments": arguments(path.query, body, self.headers.get("Content-Type") or ""),
        }
        said = b'{"ok":true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def arguments(query, body, kind):
    """A call's arguments, from wherever they stand."""
    found = dict(parse_qsl(query, keep_blank_values=True))
    if "json" in kind and body:
        found.update(json.loads(body))
    else:
        found.update(parse_qsl(body, keep_blank_values=True))
    return found


def plain(found):
    """Arguments so that only what Slack would see differently differs: in a query, flags and numbers are words."""

    def word(value):
        if isinstance(value, bool):
            return "1" if value else "0"
        if value in ("true", "false"):
            return "1" if value == "true" else "0"
        return str(value) if isinstance(value, (int, float)) else value

    return {name: word(value) for name, value in found.items() if value is not None}


def objections(call):
    """What the library has against one call of ours, before it makes the same."""
    found = call["arguments"]
    method = getattr(WebClient, call["method"].replace(".", "_"), None)
    if method is None:
        return [f"{call['method']}: no such method"]
    known = inspect.signature(method).parameters
    wrong = [f"{call['method']}: no argument {name}" for name in found if name not in known]
    if "metadata" in found:
        metadata = found["metadata"]
        if isinstance(metadata, str):
            metadata = json.loads(metadata)
        try:
            Metadata(**metadata).validate_json()
        except Exception as error:
            wrong.append(f"{call['method']}: metadata: {error}")
    blocks = found.get("blocks") or []
    if isinstance(blocks, str):
        blocks = json.loads(blocks)
    for block in blocks:
        try:
            parsed = Block.parse(block)
            if parsed is None:
                wrong.append(f"{call['method']}: no block of type {block.get('type')}")
            else:
                parsed.validate_json()
        except Exception as error:
            wrong.append(f"{call['method']}: block: {error}")
    return wrong


def check_calls(calls):
    """Whether the library makes the same call when it is given the arguments of ours."""
    # What it only warns of (a message without a text) counts.
    warnings.simplefilter("error")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wrong = []
    for call in calls:
        call["arguments"] = arguments(call["query"], call["body"], call["content_type"])
        against = objections(call)
        wrong += against
        if against:
            continue
        token = call["authorization"].removeprefix("Bearer ")
        client = WebClient(token=token, base_url=f"http://127.0.0.1:{server.server_port}/api/")
        try:
            getattr(client, call["method"].replace(".", "_"))(**call["arguments"])
        except Exception as error:
            wrong.append(f"{call['method']}: {type(error).__name__}: {error}")
            continue
        its, ours = Recorder.last, plain(call["arguments"])
        if its["path"] != call["path"] or its["authorization"] != call["authorization"]:
            wrong.append(f"{call['method']}: it calls {its['path']}, we {call['path']}, or another token")
        if plain(its["arguments"]) != ours:
            wrong.append(f"{call['method']}: it sends {sorted(its['arguments'])}, we {sorted(ours)}, or other values")
    server.shutdown()
    return wrong


MODES = {"signatures": check_signatures, "send": send, "calls": check_calls}

if __name__ == "__main__":
    found_wrong = MODES[sys.argv[1]](json.load(sys.stdin))
    print("\n".join(found_wrong))
    sys.exit(1 if found_wrong else 0)
