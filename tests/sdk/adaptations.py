"""What has to be changed in a tutorial before it runs here, and what of its printed results can't come; with reasons.

Nothing of the tutorials is repeated here but the words that are changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.sdk.versions import NEW, OLD, OURS

ALL = (NEW, OLD, OURS)


@dataclass(frozen=True, slots=True)
class Change:
    """In block `block` (counted from 0; None: wherever it stands), `old` becomes `new`."""

    old: str
    new: str
    reason: str
    block: int | None = None
    versions: tuple[str, ...] = ALL


@dataclass(frozen=True, slots=True)
class Tutorial:
    """A tutorial: changes, blocks that are no code of the session, and results that are known to be otherwise.

    `otherwise` maps the beginning of a fact, wherever it is printed, to the reason; `printed_again` those of one block.
    """

    changes: tuple[Change, ...]
    left_out: dict[int, str]
    otherwise: dict[tuple[str, str], str]
    printed_again: dict[int, dict[tuple[str, str], str]] = field(default_factory=dict)
    login: str = "user_password"  # how `Client()` logs in


_UPLOAD = Change(
    "wl.upload_model(model_name, model_file_name)",
    "wl.upload_model(model_name, model_file_name, framework=wallaroo.framework.Framework.ONNX)",
    "this version must be told the framework",
    versions=(NEW,),
)
_EXCEPT = Change(
    "except RequiredAttributeMissing:",
    "except Exception:",
    "this version raises a plain Exception for a missing connection",
    versions=(NEW,),
)
_ENDPOINT = Change(
    'api_endpoint=f"https://{wallarooPrefix}.api.{wallarooSuffix}"',
    'api_endpoint="@URL@"',
    "a placeholder for the host",
)
_AUTH_ENDPOINT = Change(
    'auth_endpoint=f"https://{wallarooPrefix}.keycloak.{wallarooSuffix}", ',
    "**({'auth_endpoint': '@URL@'} if wallaroo.__version__ < '2024' else {}), ",
    "a placeholder for the host; newer clients have no such argument",
)
_RERUN = "the tutorial was printed from an instance on which it had run before, or others had"
_COLUMNS = "printed by an older client: its tables have a column less or another one, see tutorial 004"
_INNARDS = "innards of the platform that nobody reads are not invented"
_POLLS = "how often a loop looks before a state comes is chance"
_NO_MORE = (
    "the newer clients say 'There are more logs available' in these words, and only where there are; "
    "a whole page of logs is within the limits here"
)

HTTPFILE = Tutorial(
    changes=(
        _UPLOAD,
        Change(
            "https://github.com/WallarooLabs/Wallaroo_Tutorials/blob/20230314_2023.2_updates/"
            "wallaroo-testing-tutorials/houseprice-saga/data/xtest-1k.arrow?raw=true",
            "@FILES@/xtest-1k.arrow",
            "an outside service: the file comes from a web server of this test",
        ),
        Change(
            "connection = wl.list_connections()[0]",
            "",
            "there is a second connection in the tutorial's instance; here all were deleted in the block before",
        ),
        Change(
            "time.sleep(60)",
            "wait_for(lambda: len(task.last_runs(status='success')), 60)",
            "waits for the event, as long as is printed at most",
        ),
        Change(
            "time.sleep(90)",
            "wait_for(lambda: len(task_scheduled.last_runs(status='success')), 90)",
            "waits for the event, as long as is printed at most",
        ),
    ),
    left_out={
        0: "a shell command in a block that says python",
        18: "a list of requirements in a block that says python",
        19: "the orchestration's main.py: it goes into the zip",
    },
    otherwise={
        ("text", "Warning: Pipeline log size limit"): _NO_MORE,
        ("text", "packaging"): _POLLS,
        ("text", "pending_packaging"): _POLLS,
        ("text", "'pending'"): _POLLS,
        ("field", "Status"): _COLUMNS,
        ("field", "deployed"): _RERUN,
        ("item", "host"): "the address is that of the test's web server",
    },
)
API = Tutorial(
    changes=(
        _UPLOAD,
        _EXCEPT,
        Change('f"https://{wallarooPrefix}.api.{wallarooSuffix}"', '"@URL@"', "a placeholder for the host"),
        Change(
            "time.sleep(30)",
            "wait_for(lambda: len(wl.get_task_by_id(task_id).last_runs(status='success')), 60)",
            "waits for the event, at most the minute that the text allows",
        ),
        Change(
            "time.sleep(420)",
            "wait_for(lambda: len(wl.get_task_by_id(scheduled_task_id).last_runs(status='success')), 420)",
            "waits for the event, as long as is printed at most",
        ),
    ),
    left_out={},
    otherwise={
        ("field", "deployed"): _RERUN,
        ("key", "image_tag"): _INNARDS,
        ("key", "bind_secrets"): _INNARDS,
        ("key", "extra_env_vars"): _INNARDS,
        ("key", "auth_init"): _INNARDS,
        ("key", "flavor"): _INNARDS,
        ("key", "reap_threshold_secs"): _INNARDS,
    },
    printed_again={5: {("field", "steps"): _RERUN}},
)
BIGQUERY = Tutorial(
    changes=(
        _UPLOAD,
        _EXCEPT,
        _ENDPOINT,
        _AUTH_ENDPOINT,
        Change(
            "scheduled_task.kill()",
            "orchestration = wl.upload_orchestration(path='./remote_inference/remote_inference.zip')\n"
            "wait_for(lambda: orchestration.status() == 'ready', 600)\n"
            "scheduled_task = orchestration.run_scheduled(name='s', schedule='*/5 * * * *', json_args={})\n"
            "scheduled_task.kill()",
            "an undefined name: the part of the tutorial that makes the task was left out of it",
        ),
    ),
    left_out={},
    otherwise={
        ("text", "'2023.2.0rc2'"): "each client tells its own version",
        ("text", "https://product-uat"): "the address of the log-in page is that of the server",
        ("field", "deployed"): _RERUN,
    },
    printed_again={
        6: {("field", "steps"): _RERUN},
        14: {("row", "INSTANT"): "rows of another block, as its columns are"}
        | {
            ("column", name): "columns of another block: what lies between them was left out of the tutorial"
            for name in ("time", "in_tensor", "out_variable", "check_failures")
        },
    },
    login="sso",
)
_FORECASTS = "bike_day_model = wl.upload_model(model_name, model_file_name)"
BIKES = Tutorial(
    changes=(
        Change(
            _FORECASTS,
            "bike_day_model = wl.upload_model(model_name, model_file_name, "
            "framework=wallaroo.framework.Framework.PYTHON, "
            "input_schema=pa.schema([('temp', pa.float64()), ('holiday', pa.int64()), "
            "('workingday', pa.int64()), ('windspeed', pa.float64())]), "
            "output_schema=pa.schema([('forecast', pa.float64())]))",
            "this version must be told the framework, and the fields of what is not ONNX",
            versions=(NEW,),
        ),
        _EXCEPT,
        _ENDPOINT,
        _AUTH_ENDPOINT,
        Change(
            "run_once({",
            "run_once('forecast', {",
            "these versions take a name first; that of the tutorial took the arguments first",
            versions=(NEW, OLD),
        ),
        Change("time.sleep(10)", "job.result()", "waits for the event: the rows are in the table"),
        Change(
            "time.sleep(60)",
            "wait_for(lambda: len(task.last_runs(status='success')), 60)",
            "waits for the event, as long as is printed at most",
        ),
        Change(
            "time.sleep(120)",
            "wait_for(lambda: len(scheduled_task.last_runs(status='success')), 120)",
            "waits for the event, as long as is printed at most",
        ),
    ),
    left_out={36: "lines of the orchestration's main.py, in a block that says python"},
    otherwise={
        ("text", "'2023.2.0rc2'"): "each client tells its own version",
        ("text", "packaging"): _POLLS,
        ("text", "pending_packaging"): _POLLS,
        ("text", "'pending'"): _POLLS,
        ("field", "Status"): _COLUMNS,
        ("field", "deployed"): _RERUN,
    },
    printed_again={
        6: {("field", "steps"): _RERUN},
        29: {("column", "status"): _COLUMNS, ("row", "UUID"): _COLUMNS},
    },
    login="sso",
)
TUTORIALS = {"000": BIKES, "001": BIGQUERY, "002": HTTPFILE, "003": API}
# What our own client does otherwise than the public ones.
OURS_OTHERWISE = {
    ("text", "Please log into"): "our client asks for no log-in where none is needed",
    ("text", "Login successful!"): "our client asks for no log-in where none is needed",
}
