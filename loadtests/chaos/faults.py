"""What is done to the processes. Each fault goes on until the producer is done, and leaves everything running.

A fault is a function of the stage; `stage.busy()` says whether decisions are still being handed in, `stage.sleep()`
waits, but no longer than that. What each is allowed to cause stands beside it.
"""
import os, pathlib, shutil, signal, subprocess, time
from dataclasses import dataclass
from typing import Callable

from servers import LEASE_SECONDS, USUAL_HTTP, USUAL_MAIL, wait_for

# Many messages must be on the wire when something dies.
SLOW_MAIL = [*USUAL_MAIL, {"stage": "dot", "probability": 0.5, "delay_ms": 150}]
SLOW_HTTP = {"delay": {"probability": 0.5, "fixed_ms": 150}}
STEP_SECONDS = 90


def calm(stage):
    while stage.busy():
        stage.sleep(1)


def kill_workers(stage):
    stage.simulators.set_faults(SLOW_MAIL, SLOW_HTTP)
    turn = 0
    while stage.busy():
        stage.sleep(1)
        name = stage.workers[turn % len(stage.workers)]
        stage.fleet.members[name].kill()
        stage.fleet.start(name)
        turn += 1
    stage.note(f"{turn} kills")
    stage.simulators.set_faults()


def kill_redis(stage):
    """In turn: back at once; without its last second, as when the machine goes; away for longer than a lease."""
    turn = 0
    while stage.busy():
        stage.sleep(4)
        before = stage.redis.increments()
        stage.sleep(1)
        stage.redis.process.kill()
        note = "killed"
        if turn % 3 == 1 and before and before[0].exists():
            lost = before[0].stat().st_size - before[1]
            os.truncate(before[0], before[1])
            note += f", last {lost // 1024} KiB lost"
        note += pause(turn)
        stage.redis.start()
        stage.note(note)
        turn += 1


def pause(turn):
    """Each third outage is longer than a lease."""
    seconds = LEASE_SECONDS + 2 if turn % 3 == 2 else 0.5
    time.sleep(seconds)
    return f", away for {seconds} s"


def empty_redis(stage):
    while stage.busy():
        stage.sleep(7)
        stage.redis.process.kill()
        shutil.rmtree(stage.redis.folder)
        time.sleep(0.5)
        stage.redis.start()
        stage.note("emptied")


def kill_postgres(stage):
    stage.simulators.set_faults(SLOW_MAIL, SLOW_HTTP)
    turn = 0
    while stage.busy():
        stage.sleep(4)
        stage.postgres.crash()
        note = "killed" + pause(turn)
        stage.postgres.start()
        stage.note(note)
        turn += 1
    stage.simulators.set_faults()


def stop_worker(stage):
    stage.simulators.set_faults(SLOW_MAIL, SLOW_HTTP)
    turn = 0
    while stage.busy():
        stage.sleep(2)
        worker = stage.fleet.members[stage.workers[turn % len(stage.workers)]]
        worker.send(signal.SIGSTOP)
        time.sleep(LEASE_SECONDS + 4)
        worker.send(signal.SIGCONT)
        turn += 1
    stage.note(f"{turn} stops of {LEASE_SECONDS + 4} s")
    stage.simulators.set_faults()


def bad_providers(stage):
    """A mix of everything, and in between nobody answers at all."""
    mail = [
        *USUAL_MAIL,
        {"stage": "greeting", "probability": 0.05, "cut": "before"},
        {"stage": "mail", "probability": 0.01, "stall": True},
        {"stage": "rcpt", "probability": 0.05, "refuse": {"code": 451, "enhanced_code": "4.7.1", "text": "later"}},
        {"stage": "data", "probability": 0.02, "cut": "before"}, {"stage": "dot", "probability": 0.02, "cut": "before"},
        {"stage": "dot", "probability": 0.02, "cut": "after"}, {"stage": "dot", "probability": 0.01, "stall": True},
    ]
    http = {
        **USUAL_HTTP, "cut_before": {"probability": 0.02}, "cut_after": {"probability": 0.02},
        "stall": {"probability": 0.01, "limit_ms": 8000},
        "refuse": {"probability": 0.05, "status": 503, "retry_after_s": 1},
    }
    while stage.busy():
        stage.simulators.set_faults(mail, http)
        stage.sleep(8)
        stage.simulators.set_faults([{"stage": "rcpt", "stall": True}], {"stall": {"probability": 1, "limit_ms": 5000}})
        stage.sleep(3)
    stage.simulators.set_faults()


def step_clocks(stage):
    """The workers' clocks jump, each the other way, and come right at the end."""
    turn = 0
    while stage.busy():
        stage.sleep(3)
        for place, name in enumerate(stage.workers):
            stage.set_clock(name, [0, STEP_SECONDS, -STEP_SECONDS][(turn + place * 2) % 3])
        turn += 1
    for name in stage.workers:
        stage.set_clock(name, 0)
    stage.note(f"{turn} steps")


def fill_disks(stage):
    """PostgreSQL's disk is full, then Redis's. What ends by it is started again once there is room."""
    while stage.busy():
        for server, folder in ((stage.postgres, stage.postgres.folder), (stage.redis, stage.redis.folder)):
            stage.sleep(5)
            ballast = folder / "ballast"
            fill(ballast)
            time.sleep(4)
            died = not server.process.runs()
            ballast.unlink()
            if died:
                server.start()
            else:
                # PostgreSQL recovers by itself, or finds the disk full while it does and ends.
                wait_for("the server after the full disk", lambda: back(server))
            stage.note(f"{type(server).__name__} full{', it ended' if died else ''}")


def back(server):
    if not server.process.runs():
        server.start()
    return server.answers()


def fill(path):
    with open(path, "wb", buffering=0) as file:
        block = bytes(1 << 16)
        while block:
            try:
                file.write(block)
            except OSError:
                block = block[:len(block) // 2]


class Tmpfs:
    """A small disk of its own, where that is permitted."""

    def __init__(self, folder, megabytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "chaos", str(self.folder)]
        if subprocess.run(command, capture_output=True).returncode:
            raise Skipped("needs the right to mount")

    def remove(self):
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)


class Skipped(Exception):
    """This fault cannot be played here."""


@dataclass
class Fault:
    name: str
    play: Callable
    what: str
    # How many seconds a message may come after expires_at, and before not_before: what is on the wire then, or in
    # the hands of a worker that stands still, cannot be called back, and a wrong clock tells wrong times.
    late: float = 1.0
    early: float = 0.0
    needs_disks: bool = False
    needs_clocks: bool = False


FAULTS = [
    Fault("calm", calm, "nothing: the base line"),
    Fault("kill-worker", kill_workers, "a worker is killed each second and started again at once"),
    Fault("kill-redis", kill_redis, "Redis is killed and comes back with its file, or without its last second of it"),
    Fault("empty-redis", empty_redis, "Redis is killed and comes back empty"),
    Fault("kill-postgres", kill_postgres, "PostgreSQL is killed and recovers from its log"),
    Fault("stop-worker", stop_worker, "a worker stands still for longer than its lease, and goes on",
          late=LEASE_SECONDS + 6),
    Fault("providers", bad_providers, "providers refuse, stall, and cut lines before and after they took the message",
          late=7),
    Fault("clock", step_clocks, f"the workers' clocks jump by {STEP_SECONDS} s, both ways", late=STEP_SECONDS + 1,
          early=STEP_SECONDS, needs_clocks=True),
    Fault("disk-full", fill_disks, "the disk of PostgreSQL is full, then that of Redis", needs_disks=True),
]
