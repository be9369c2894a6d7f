"""One stack on this machine: the local AWS, PostgreSQL, and what was deployed to them.

Owns .local/ in the checkout: ports, process ids, logs, data. Every process that it starts leads a process group of its
own and is recorded before anything else happens, so that `stop` can end it and all its children by id. It never ends a
process by name, and never one that only happens to have a recorded id (the start time is recorded as well).
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
# Where a stack keeps its state; the tests give another, so that a developer's stack stays as it is.
LOCAL = pathlib.Path(os.environ.get("BACKUP_LOCAL_DIR") or ROOT / ".local").resolve()
STATE = LOCAL / "stack.json"
OUTPUTS = LOCAL / "outputs.json"
ENVIRONMENT = LOCAL / "functions.env"
ZIPS = ROOT / "target" / "lambda"
PG_BIN = TOOLS / "postgres" / "18" / "bin"

PROJECT = "gasrapido"
REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-1")
POLICIES = ROOT / "infra" / "local" / "sample" / "policies.json"
CHECKS = ROOT / "infra" / "local" / "sample" / "checks.json"
# The databases: what is backed up, what production is restored into, what releases are tried on, and what developers get.
SOURCE, TARGET, STAGING, DEVELOPMENT = "gasrapido", "restored", "staging", "development"


class Failure(Exception):
    """Something that a person has to look at; the message says what and where."""


# ---- processes -------------------------------------------------------------------------------------------------------

def start_time(pid):
    """When a process started, to tell it from a later one with the same id; None if it is not running."""
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    status, _, started = found.stdout.strip().partition(" ")
    return started.strip() if started and not status.startswith("Z") else None


def group_members(group):
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(row[0]) for row in rows if int(row[1]) == group and not row[2].startswith("Z")]


def children_of(pid):
    """All descendants of a process with their start times, whatever group they put themselves in."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    below = {}
    for line in listed.splitlines():
        child, parent = map(int, line.split())
        below.setdefault(parent, []).append(child)
    found, todo = {}, [pid]
    while todo:
        for child in below.get(todo.pop(), ()):
            found[child] = start_time(child)
            todo.append(child)
    return found


def wait_for(condition, seconds, step_s=0.1):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step_s)
    return bool(condition())


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- the stack -------------------------------------------------------------------------------------------------------

class Stack:
    """The one stack of this checkout."""

    folder = LOCAL

    def __init__(self):
        self.state = json.loads(STATE.read_text()) if STATE.exists() else {}

    def save(self):
        LOCAL.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(self.state, indent=2) + "\n")

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.state['port']}"

    @property
    def outputs(self):
        return json.loads(OUTPUTS.read_text())

    def database(self, name, login=None):
        """URL of a database on the PostgreSQL server of this stack, as its superuser or as somebody else."""
        url = urllib.parse.urlsplit(self.state["postgres"])._replace(path=f"/{name}")
        return (url._replace(netloc=f"{login}@{url.netloc.rpartition('@')[2]}") if login else url).geturl()

    def environment(self):
        """What makes any AWS client talk to this stack."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": REGIONS[0], "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": ""}

    def client(self, service, region, **more):
        """A boto3 client that talks to this stack."""
        import boto3
        return boto3.client(service, region_name=region, endpoint_url=self.endpoint, aws_access_key_id="test",
                            aws_secret_access_key="test", **more)

    # -- the local AWS

    def aws_is_up(self):
        recorded = self.state.get("ministack")
        return bool(recorded) and start_time(recorded["pid"]) == recorded["started"]

    def start_aws(self, **more):
        """Starts MiniStack on a free loopback port; with `AUTH="true"` one that enforces policies."""
        LOCAL.mkdir(exist_ok=True)
        scratch = LOCAL / "tmp"
        scratch.mkdir(exist_ok=True)
        self.state["port"], self.state["page_port"] = free_port(), free_port()
        # Its functions inherit this environment: only what they need is in it. BIND_HOST keeps it off the network,
        # AWS_ENDPOINT_URL keeps the functions off the real AWS.
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TZ") if name in os.environ}
        environment |= {
            "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.state["port"]), "MINISTACK_HOST": "localhost",
            "AWS_ENDPOINT_URL": self.endpoint, "SFTP_ENABLED": "0", "IOT_MTLS_ENABLED": "0",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true",
            "LAMBDA_EXECUTOR": "local", "DOCKER_HOST": "unix:///nonexistent", "TMPDIR": str(scratch),
            "STATE_DIR": str(scratch / "state"), "S3_DATA_DIR": str(scratch / "s3"), **more,
        }
        with open(LOCAL / "ministack.log", "wb") as log:
            process = subprocess.Popen([TOOLS / "bin" / "ministack"], cwd=scratch, env=environment, start_new_session=True,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.state["ministack"] = {"pid": process.pid, "started": start_time(process.pid)}
        self.save()
        if not wait_for(lambda: process.poll() is not None or self.aws_answers(), 60) or process.poll() is not None:
            raise Failure("the local AWS did not start; see .local/ministack.log")
        self.issuer.publish(self.client("s3", REGIONS[0]), REGIONS[0])

    def aws_answers(self):
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    # -- PostgreSQL

    def postgres_is_up(self):
        if "postgres" not in self.state:
            return False
        return subprocess.run([PG_BIN / "psql", "-Xqc", "select", self.state["postgres"]], capture_output=True).returncode == 0

    def start_postgres(self):
        """Starts PostgreSQL with four databases, all empty."""
        LOCAL.mkdir(exist_ok=True)
        started = subprocess.run(
            [ROOT / "infra" / "local" / "postgres", "start", "--bin", PG_BIN, "--data", LOCAL / "postgres",
             "--port", str(free_port())], capture_output=True, text=True)
        if started.returncode != 0:
            raise Failure(f"PostgreSQL did not start:\n{started.stderr}")
        self.state["postgres"] = started.stdout.strip().splitlines()[-1]
        self.save()
        for name in (SOURCE, TARGET, STAGING, DEVELOPMENT):
            self.sql("postgres", f'create database "{name}"')
        self.create_backup_role()

    def sql(self, database, statement):
        """Runs one statement and returns what it prints, unaligned."""
        done = subprocess.run([PG_BIN / "psql", "-XqAtv", "ON_ERROR_STOP=1", "-c", statement, self.database(database)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def sql_file(self, database, path, **variables):
        """Runs a file of statements, as a person does with psql."""
        given = [part for name, value in {"ON_ERROR_STOP": 1, **variables}.items() for part in ("-v", f"{name}={value}")]
        done = subprocess.run([PG_BIN / "psql", "-Xq", *given, "-f", path, self.database(database)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{path.relative_to(ROOT)}: {done.stderr.strip()}")

    def create_backup_role(self):
        """The role that the backup reads with, by the script that a real database's owner runs."""
        self.sql_file(SOURCE, ROOT / "infra" / "sql" / "backup_role.sql", password="'reader'")

    def load_sample(self, mb, seed):
        """The command that fills the source; the caller runs it, to show how it goes."""
        return [str(part) for part in (ROOT / "infra" / "local" / "sample" / "load", "--url", self.database(SOURCE),
                                       "--psql", PG_BIN / "psql", "--mb", mb, "--seed", seed)]

    # -- the project's Storage: its S3 endpoint is that of the local AWS

    @property
    def storage(self):
        """URL of the endpoint, with its keys, as the functions take it."""
        return f"http://test:test@127.0.0.1:{self.state['port']}/?region={REGIONS[0]}"

    def fill_storage(self, s3):
        """Puts an object for each that the sample's database lists, and lets the database list it as it is. Returns how many."""
        content = "repeat(id::text, 1 + ascii(id::text) % 50)"
        self.sql(SOURCE, f"""update storage.objects set metadata = coalesce(metadata, '{{}}') || jsonb_build_object(
            'eTag', '"' || md5({content}) || '"', 'size', length({content}))""")
        rows = self.sql(SOURCE, f"select bucket_id || '/' || name || chr(9) || {content} from storage.objects")
        objects = [line.split("\t") for line in rows.splitlines()]
        for bucket in {key.split("/")[0] for key, _ in objects}:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGIONS[0]})

        def put(item):
            bucket, _, key = item[0].partition("/")
            s3.put_object(Bucket=bucket, Key=key, Body=item[1].encode())

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(put, objects))
        return len(objects)

    def storage_digests(self, s3):
        """{bucket/key: entity tag} of all objects of the project."""
        buckets = self.sql(SOURCE, "select id from storage.buckets").splitlines()
        found = {}
        for bucket in buckets:
            with contextlib.suppress(s3.exceptions.NoSuchBucket):
                for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                    found |= {f"{bucket}/{entry['Key']}": entry["ETag"] for entry in page.get("Contents", ())}
        return found

    # -- the deployment

    def deploy_command(self, **parameters):
        """infra/deploy as anybody calls it; what is left out keeps its value."""
        command = [TOOLS / "bin" / "python", ROOT / "infra" / "deploy", "--project", PROJECT, "--regions", ",".join(REGIONS),
                   "--outputs", OUTPUTS, "--policies", POLICIES, "--checks", CHECKS]
        for name, value in parameters.items():
            command += ["--parameter", f"{name}={value}"]
        return [str(part) for part in command]

    def deploy(self, **parameters):
        """Deploys, and remembers what the deployment gave out."""
        with open(LOCAL / "deploy.log", "w", encoding="utf-8") as log:
            if subprocess.run(self.deploy_command(**parameters), env=self.environment(), stdout=log, stderr=log).returncode != 0:
                raise Failure(f"infra/deploy failed; see {LOCAL}/deploy.log")

    def first_parameters(self, schedule, schedule_state):
        """The parameters that a developer's machine needs and a real account does not."""
        return {
            "DatabaseUrl": self.database(SOURCE, "backup_reader:reader"), "TargetProductionUrl": self.database(TARGET),
            "TargetStagingUrl": self.database(STAGING), "TargetDevelopmentUrl": self.database(DEVELOPMENT), "StorageUrl": self.storage,
            "TargetProductionStorageUrl": self.storage, "PoliciesPath": str(POLICIES),
            "Schedule": schedule, "ScheduleState": schedule_state, "AuthIssuer": self.issuer.name, "CorsOrigins": self.page_origin,
            "CatalogDeletionProtection": "false", "PgBin": self.unpack_layer(),
            "PgServer": str(ZIPS / "pg-server" / "pgsql"), "ChecksPath": str(CHECKS),
        }

    def deploy_with_sample(self, mb=50, seed=7, **parameters):
        """Everything deployed, no schedule, and a sample project: what a check begins with. The local AWS must be up."""
        self.start_postgres()
        self.deploy(**self.first_parameters("cron(0 3 * * ? *)", "DISABLED") | parameters)
        if subprocess.run(self.load_sample(mb, seed), env=self.environment(), stdout=subprocess.DEVNULL).returncode != 0:
            raise Failure("infra/local/sample/load failed")
        self.fill_storage(self.client("s3", REGIONS[0]))

    def write_functions_environment(self):
        """What the deployed functions see, in one file, for a function that runs outside of the stack."""
        done = subprocess.run([TOOLS / "bin" / "aws", "lambda", "list-functions", "--query", "Functions[].Environment.Variables"],
                              env=self.environment(), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"the functions' environment cannot be read: {done.stderr.strip()}")
        ours = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")
        variables = {name: self.environment()[name] for name in ours} | {"AWS_REGION": REGIONS[0]}
        for of_function in json.loads(done.stdout):
            variables |= of_function or {}
        # Quoted, or its reader takes a value with spaces for a mistake.
        ENVIRONMENT.write_text("".join(f'{name}="{value}"\n' for name, value in sorted(variables.items())))

    def unpack_layer(self):
        """MiniStack gives layers to Python and Node only: the same zip is unpacked where the functions can see it."""
        layer = LOCAL / "opt"
        shutil.rmtree(layer, ignore_errors=True)
        archive = ZIPS / "pg-client.zip"
        if not archive.exists():
            raise Failure("target/lambda/pg-client.zip is missing; build it with: make build")
        with zipfile.ZipFile(archive) as content:
            for entry in content.infolist():
                path, mode = content.extract(entry, layer), entry.external_attr >> 16
                if mode & 0o170000 == 0o120000:     # a link: zipfile writes its target as text
                    text = pathlib.Path(path).read_text()
                    os.unlink(path)
                    os.symlink(text, path)
                elif mode:
                    os.chmod(path, mode & 0o777)
        return str(layer / "bin")

    # -- the page of the app

    @property
    def page_origin(self):
        """Where the page is served, or will be: the API is told before that it may be called from there."""
        return f"http://127.0.0.1:{self.state['page_port']}"

    @property
    def page_url(self):
        """The page, on the API of this stack."""
        return f"{self.page_origin}/?{urllib.parse.urlencode({'api': self.outputs['outputs']['ApiUrl']})}"

    def start_page(self):
        """Serves the page of the app, which must be built and deployed for."""
        if not (ROOT / "app" / "harness" / "dist" / "index.html").exists():
            raise Failure("app/harness/dist is missing; build it with: make page")
        with open(LOCAL / "page.log", "wb") as log:
            process = subprocess.Popen([ROOT / "infra" / "local" / "page", "--port", str(self.state["page_port"])], start_new_session=True,
                                       env={**os.environ, "BACKUP_LOCAL_DIR": str(LOCAL)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.state["page"] = {"pid": process.pid, "started": start_time(process.pid)}
        self.save()

        def answers():
            try:
                with urllib.request.urlopen(self.page_origin, timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False

        if not wait_for(lambda: process.poll() is not None or answers(), 20) or process.poll() is not None:
            raise Failure(f"the page is not served; see {LOCAL}/page.log")

    @property
    def issuer(self):
        """Who signs the tokens that this stack's API believes."""
        from issuer import Issuer
        return Issuer(LOCAL, self.endpoint)

    def invoke(self, function, payload):
        """What a function answered, and whether that was an error."""
        answer = self.client("lambda", REGIONS[0]).invoke(FunctionName=f"{PROJECT}-{function}", Payload=json.dumps(payload).encode())
        return json.loads(answer["Payload"].read() or b"null"), "FunctionError" in answer

    def get(self, path):
        """(status, JSON) of what the API tells a viewer."""
        return self.call("GET", path, ["viewer"])

    def post(self, path, body, roles, key=None):
        """(status, JSON) of what somebody with these roles asks for."""
        return self.call("POST", path, roles, body, {"Idempotency-Key": key or str(uuid.uuid4())})

    def call(self, method, path, roles, body=None, headers=None):
        """A call of the API. By address and Host header: not every machine resolves *.localhost."""
        host = f"{self.outputs['outputs']['ApiId']}.execute-api.localhost:{self.state['port']}"
        token = self.issuer.token("demo", roles, second_factor="restorer" in roles)
        headers = {"Host": host, "Authorization": f"Bearer {token}", **(headers or {})}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.endpoint + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError):
                return error.code, json.loads(body)
            return error.code, body
        except (OSError, ValueError) as error:
            return 0, str(error)

    # -- the end

    def stop(self):
        """Ends every process that this stack started and removes its data; the logs stay. Says what it ended."""
        ended = []
        if (LOCAL / "postgres").exists():
            stopped = subprocess.run([ROOT / "infra" / "local" / "postgres", "stop", "--data", LOCAL / "postgres", "--delete"],
                                     capture_output=True, text=True)
            ended.append("PostgreSQL" if stopped.returncode == 0 else f"not PostgreSQL ({stopped.stderr.strip()})")
        recorded = self.state.get("ministack")
        if recorded:
            ended.append(f"MiniStack and {self.stop_group(recorded)} processes of its functions")
        if "page" in self.state:
            self.stop_group(self.state["page"])
            ended.append("the page")
        for name in ("postgres", "tmp", "opt", "stack.json", "outputs.json", "functions.env", "issuer.pem"):
            path = LOCAL / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.exists():
                path.unlink()
        self.state = {}
        return ended

    @staticmethod
    def stop_group(recorded):
        """MiniStack leads a group, and its functions are in it; those that left it are found as its descendants."""
        pid = recorded["pid"]
        running = start_time(pid) == recorded["started"]
        descendants = children_of(pid) if running else {}
        # With the leader gone, the group's id cannot be given to a new process for as long as a member lives.
        members = group_members(pid) if running or start_time(pid) is None else []
        count = len({*members, *descendants} - {pid})
        for sent, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            with contextlib.suppress(ProcessLookupError):
                if members:
                    os.killpg(pid, sent)
            for child, started in descendants.items():
                if started and start_time(child) == started:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, sent)
            gone = wait_for(lambda: not group_members(pid) and
                            not any(started and start_time(child) == started for child, started in descendants.items()), patience_s)
            if gone:
                return count
        raise Failure(f"processes of group {pid} do not end: {group_members(pid)}")


def run_alone(program, work):
    """Does something with a stack of its own, of which nothing is left running, and ends the program with what went wrong."""
    stack = Stack()
    if stack.aws_is_up():
        sys.exit(f"{program}: a stack is running already; end it with: make down")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ended = None
    try:
        stack.stop()
        work(stack)
    except Failure as error:
        ended = f"{program}: {error}"
    except KeyboardInterrupt:
        ended = f"{program}: interrupted"
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        stack.stop()
    sys.exit(ended)


def need_tools():
    """Goes on in the Python of the tools, which has what the machine's own may lack; ends with a hint if they are not installed."""
    if not (TOOLS / "bin" / "ministack").exists():
        sys.exit("the tools are missing; run: make tools")
    if pathlib.Path(sys.prefix).resolve() != (TOOLS / "python").resolve():
        python = str(TOOLS / "bin" / "python")
        os.execv(python, [python, *sys.argv])
