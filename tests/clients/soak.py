"""Requests of every kind at once, aborted, malformed, over-long and read slowly, for a while: answers stay right, numbers
add up, and memory stays where it was. `python soak.py http://127.0.0.1:8080 SECONDS PID`, standard library only."""

import json
import random
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlparse

SERVER, SECONDS, PID = urlparse(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
THREADS, WARM, GROWTH = 12, 0.25, 1.02
END = time.time() + SECONDS
HELLO = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": False}
counts, wrong, texts = {}, [], set()


def post(path, body, read=lambda response: response.read()):
    connection = HTTPConnection(SERVER.hostname, SERVER.port, timeout=120)
    try:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, body, {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, read(response)
    finally:
        connection.close()


def chat(**more):
    return {"messages": HELLO, "max_tokens": random.randint(1, 20), **more}


def expect(status, *allowed):
    if status == 429:
        time.sleep(1)  # as it asks
    elif status not in allowed:
        raise AssertionError(f"status {status}")


def whole():
    status, text = post("/v1/completions", {"prompt": "The capital of France is", "max_tokens": 6, "temperature": 0})
    expect(status, 200)
    if status == 200:
        texts.add(json.loads(text)["choices"][0]["text"])


def form():
    format = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    status, text = post("/v1/chat/completions", chat(max_tokens=30, response_format=format))
    expect(status, 200)
    choice = json.loads(text)["choices"][0] if status == 200 else {"finish_reason": None}
    if choice["finish_reason"] == "stop":
        assert isinstance(json.loads(choice["message"]["content"])["a"], bool)


def streamed():
    status, text = post("/v1/chat/completions", chat(stream=True))
    expect(status, 200)
    assert status == 429 or text.endswith(b"data: [DONE]\n\n"), text[-200:]


def aborted():
    expect(post("/v1/messages", chat(max_tokens=60, stream=True), lambda response: response.read(64))[0], 200)


def slow():
    def read(response):
        while response.read(200):
            time.sleep(0.1)

    expect(post("/v1/responses", {"input": "Hello", "max_output_tokens": 15, "stream": True}, read)[0], 200)


def malformed():
    expect(post("/v1/chat/completions", b'{"messages": [')[0], 400)
    expect(post("/v1/chat/completions", chat(colour="red"))[0], 400)


def overlong():
    expect(post("/v1/messages", chat(messages=[{"role": "user", "content": "word " * 5000}]))[0], 400)


def others():
    expect(post("/v1/messages/count_tokens", {"messages": HELLO})[0], 200)
    expect(post("/v1/embeddings", {"input": ["The sky", "is blue"]})[0], 200)


KINDS = [whole, form, streamed, aborted, slow, malformed, overlong, others]


def work():
    while time.time() < END and not wrong:
        kind = random.choice(KINDS)
        try:
            kind()
        except Exception as error:  # whatever it is, it ends the run
            wrong.append(f"{kind.__name__}: {error!r}")
        counts[kind.__name__] = counts.get(kind.__name__, 0) + 1


def memory():
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def metrics():
    connection = HTTPConnection(SERVER.hostname, SERVER.port, timeout=60)
    connection.request("GET", "/metrics")
    lines = [line for line in connection.getresponse().read().decode().splitlines() if line.startswith("lantern_")]
    return {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads:
    thread.start()
time.sleep(SECONDS * WARM)
before = memory()
for thread in threads:
    thread.join()
assert not wrong, wrong
time.sleep(2)
after, told = memory(), metrics()
assert len(texts) == 1, f"greedy answers differ: {texts}"
assert after <= before * GROWTH, f"memory grew from {before} to {after} KiB"
assert told["lantern_requests_running"] == told["lantern_requests_waiting"] == 0, told
tokens = told["lantern_time_to_first_token_seconds_count"] + told["lantern_inter_token_seconds_count"]
assert told["lantern_sampled_tokens_total"] == tokens, told
assert told["lantern_time_to_first_token_seconds_count"] <= told["lantern_requests_completed_total"], told
names = ["lantern_requests_completed_total", "lantern_requests_failed_total", "lantern_requests_refused_total"]
print(json.dumps({"requests": counts, "memory_kib": [before, after], **{name: told[name] for name in names}}))
