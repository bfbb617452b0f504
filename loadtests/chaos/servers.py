"""The real processes of one stage: Redis, PostgreSQL, the simulated providers, and the fleet.

Everything listens on the loopback interface on free ports and lives in the stage's folder. Each process is known by
its pid and ended by it.
"""
import json, os, pathlib, shutil, signal, socket, subprocess, time, urllib.error, urllib.request

from redis_wire import Redis, RedisDown, RedisRefusal

SETTINGS = """\
worker:
  concurrency: 256
  grace_seconds: 20
  lease_seconds: {lease}
retry:
  base_seconds: 1
  longest_seconds: 2
  attempts: 12
channels:
  providers: providers
  templates: templates
log:
  level: notice
  format: text
"""
LEASE_SECONDS = 5
# Each message is on the wire for a moment. It also bounds how many a second can come after an outage: the simulators
# keep only their newest messages, and the suite must see each.
USUAL_MAIL = [{"stage": "dot", "delay_ms": 30}]
USUAL_HTTP = {"delay": {"probability": 1, "fixed_ms": 30}}
TEMPLATES = {
    "subject.txt": "{{decision.id}}\n", "email.txt": "{{decision.id}}\n", "sms.txt": "{{decision.id}}\n",
    "push.json": '{"title": "chaos", "body": "{{decision.id}}"}\n',
}


class Broken(Exception):
    """The stage itself does not work: nothing is said about the fleet."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, ready, within=60):
    deadline = time.monotonic() + within
    while not ready():
        if time.monotonic() > deadline:
            raise Broken(f"{what}: not within {within} s")
        time.sleep(0.05)


class Process:
    """A child with its log. In a session of its own, so that a Ctrl-C in the terminal reaches only the suite."""

    def __init__(self, command, log, environment=None, cwd=None):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as file:
            self.child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment,
                cwd=cwd, start_new_session=True)
        self.pid = self.child.pid

    def runs(self):
        return self.child.poll() is None

    def send(self, number):
        if self.runs():
            self.child.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.child.wait()

    def end(self, gently=signal.SIGTERM, patience=30):
        self.send(signal.SIGCONT)
        self.send(gently)
        try:
            self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class RedisServer:
    """Durable as in production: an append-only file that is synced each second, nothing evicted."""

    def __init__(self, folder, log):
        self.folder, self.log, self.port, self.process = pathlib.Path(folder), log, free_port(), None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            ["redis-server", "--bind", "127.0.0.1", "--port", self.port, "--dir", self.folder, "--appendonly", "yes",
             "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "", "--databases", "1"],
            self.log)
        wait_for("redis-server", self.answers, 30)

    def answers(self):
        if not self.process.runs():
            raise Broken(f"redis-server ended: {self.process.tail()}")
        try:
            redis = Redis(self.port)
            redis.ask("DBSIZE")
            redis.close()
            return True
        except (RedisDown, RedisRefusal):
            return False

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def increments(self):
        """The file that grows, and its size."""
        files = sorted((self.folder / "appendonlydir").glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)
        return (files[-1], files[-1].stat().st_size) if files else None


class PostgresServer:
    """With its durable defaults. It refuses to run as root, and then runs as the user postgres."""

    def __init__(self, folder, log):
        self.folder, self.log, self.process = pathlib.Path(folder), log, None
        self.data, self.sockets = self.folder / "data", self.folder / "s"
        versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        found = versions[-1] if versions else shutil.which("initdb")
        if not found:
            raise Broken("PostgreSQL is not installed: deploy/install --tests")
        self.programs = pathlib.Path(found).parent
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
        self.as_owner = as_postgres if os.getuid() == 0 else []

    def create(self):
        self.sockets.mkdir(parents=True, exist_ok=True)
        if self.as_owner:
            for folder in (self.folder, self.sockets):
                shutil.chown(folder, "postgres", "postgres")
        subprocess.run(
            [*self.as_owner, self.programs / "initdb", "-D", self.data, "-A", "trust", "-U", "martlet", "-E", "UTF8",
             "--no-locale"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.start()
        self.query("CREATE DATABASE martlet", database="postgres")

    def start(self):
        """Starts it, again where the predecessor's last processes still hold the folder."""
        for _ in range(40):
            self.process = Process(
                [*self.as_owner, self.programs / "postgres", "-D", self.data, "-k", self.sockets, "-c",
                 "listen_addresses=", "-c", "max_connections=80", "-c", "max_wal_size=96MB", "-c", "min_wal_size=32MB",
                 "-c", "checkpoint_timeout=30s"], self.log, cwd="/")
            deadline = time.monotonic() + 60
            while self.process.runs() and time.monotonic() < deadline:
                if self.answers():
                    return
                time.sleep(0.05)
            self.process.kill()
            time.sleep(0.25)
        raise Broken(f"PostgreSQL does not start: {self.process.tail()}")

    def answers(self):
        try:
            self.query("SELECT 1", database="postgres")
            return True
        except LedgerAway:
            return False

    def crash(self):
        """Kills the postmaster; its other processes notice and end. Until they have, no other may start."""
        everybody = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        children = [pid for pid in everybody if parent_of(pid) == self.process.pid]
        self.process.kill()
        deadline = time.monotonic() + 5
        while any(parent_of(pid) is not None for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in children:
            if parent_of(pid) is not None:
                os.kill(pid, signal.SIGKILL)

    @property
    def url(self):
        return f"postgresql:///martlet?host={self.sockets}&user=martlet"

    def query(self, sql, database="martlet"):
        """Rows of texts; an empty text stands for null."""
        output = subprocess.run(
            ["psql", "-qAtX", "-F", "\t", "-h", str(self.sockets), "-U", "martlet", "-d", database, "-c", sql],
            capture_output=True, text=True)
        if output.returncode:
            raise LedgerAway(output.stderr.strip())
        return [line.split("\t") for line in output.stdout.splitlines()]


class LedgerAway(Exception):
    """PostgreSQL did not answer."""


def parent_of(pid):
    """None when there is no such process, or only its remains."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[1])


class Simulators:
    def __init__(self, martlet, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        variables = self.folder / "simulators.env"
        self.process = Process(
            [martlet, "simulate", "--folder", self.folder, "--env-file", variables, "--port", "0"],
            self.folder / "simulators.log")
        wait_for("the simulators", lambda: "ready" in self.process.log.read_text())
        self.control = self.process.log.read_text().split()[-1].rstrip("/")
        self.environment = {"MARTLET_SMTP_AUTHENTICATION": "none"}
        for line in variables.read_text().splitlines():
            name, _, value = line.partition("=")
            self.environment[name] = value.strip("'")
        self.set_faults()

    def request(self, path, faults=None):
        body = None if faults is None else json.dumps(faults).encode()
        request = urllib.request.Request(self.control + path, data=body, method="GET" if body is None else "PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def set_faults(self, mail=USUAL_MAIL, http=USUAL_HTTP):
        """Faults of mail, and those of text messages and push."""
        self.request("/simulators/smtp/faults", {"faults": mail})
        for name in ("sms", "fcm"):
            self.request(f"/simulators/{name}/faults", http)


class Fleet:
    """Workers and a scheduler, each with its log, each restarted under its own name."""

    def __init__(self, martlet, folder, repository, environment):
        self.martlet, self.folder, self.members, self.extra = martlet, pathlib.Path(folder), {}, {}
        self.folder.mkdir(parents=True)
        (self.folder / "martlet.yaml").write_text(SETTINGS.format(lease=LEASE_SECONDS))
        for name, text in TEMPLATES.items():
            path = self.folder / "templates" / "chaos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        write_providers(repository / "channels/providers", self.folder / "providers")
        # What provider files name beside their folder.
        shutil.copy(repository / "channels/keywords.yaml", self.folder / "keywords.yaml")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MARTLET_")}
        self.environment = {**inherited, **environment, "MARTLET_CONFIG": str(self.folder / "martlet.yaml")}

    def start(self, name):
        role = name.rstrip("0123456789")
        ports = {"MARTLET_METRICS_PORT": str(free_port()), "MARTLET_EDGE_PORT": str(free_port())}
        self.members[name] = Process(
            [self.martlet, role], self.folder / f"{name}.log",
            {**self.environment, **ports, **self.extra.get(name, {})}, self.folder)

    def run(self, *arguments):
        output = subprocess.run(
            [self.martlet, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True)
        return output.returncode, output.stdout + output.stderr

    def end(self):
        for member in self.members.values():
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
        for member in self.members.values():
            member.end()


def write_providers(source, target):
    """The shipped provider files with short time limits and few messages at once.

    The idempotency header is taken out: with it the SMS simulator would show a repeated text message once only, and
    repeats are what is looked for.
    """
    target.mkdir(parents=True)
    changes = {
        "connections: 16": "connections: 32", "concurrency: 128": "concurrency: 32",
        "concurrency: 256": "concurrency: 32", "command_seconds: 60": "command_seconds: 3",
        "final_dot_seconds: 600": "final_dot_seconds: 3", "total_seconds: 30": "total_seconds: 3",
        '    I-Twilio-Idempotency-Token: "{{idempotency_key}}"\n': "", "  headers:\n  form:": "  form:",
    }
    for name in ("smtp", "twilio", "fcm"):
        text = (source / f"{name}.yaml").read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (target / f"{name}.yaml").write_text(text)
