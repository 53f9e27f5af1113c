"""Sends seeded events to a topic at a steady rate; each bears the time at which it was handed to the client."""

from __future__ import annotations

import argparse
import json
import random
import time
from datetime import UTC, datetime

from kafka import KafkaProducer

TICK_SECONDS = 0.01
MODELS = (("anthropic", "claude-sonnet-4-5-20250929"), ("openai", "gpt-4.1-mini-2025-04-14"), ("openai", "gpt-4o"))


def event(number: int, random_numbers: random.Random) -> dict[str, object]:
    """Return an event but for its time."""
    provider, model = MODELS[number % len(MODELS)]
    inputs = random_numbers.randrange(200, 20_000)
    return {
        "source": provider,
        "event_id": f"msg_{random_numbers.getrandbits(96):024x}",
        "provider": provider,
        "model": model,
        "team": f"team-{random_numbers.randrange(40)}",
        "workflow": f"workflow-{random_numbers.randrange(120)}",
        "task_id": f"task-{number // 12}",
        "agent": ("planner", "coder", "critic")[number % 3],
        "input_tokens": inputs,
        "cache_read_tokens": inputs // 2,
        "output_tokens": random_numbers.randrange(20, 2_000),
        "latency_ms": random_numbers.randrange(300, 9_000),
        "status": "ok",
    }


def main() -> None:
    """Send, and print how many events were sent in which time as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events-per-second", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    producer = KafkaProducer(bootstrap_servers=arguments.bootstrap_servers, linger_ms=5, acks=1)
    # Made before the clock starts, so that the producer takes as little as it can of the cores it shares.
    random_numbers = random.Random(arguments.seed)
    total = int(arguments.events_per_second * arguments.seconds)
    bodies = [json.dumps(event(number, random_numbers), separators=(",", ":"))[1:] for number in range(total)]
    begun = time.perf_counter()
    sent = 0
    while sent < total:
        due = min(total, int((time.perf_counter() - begun) * arguments.events_per_second) + 1)
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        for body in bodies[sent:due]:
            producer.send(arguments.topic, value=f'{{"occurred_at":"{now}",{body}'.encode())
        sent = due
        time.sleep(TICK_SECONDS)
    producer.flush()
    print(json.dumps({"sent": sent, "seconds": round(time.perf_counter() - begun, 3)}))


if __name__ == "__main__":
    main()
