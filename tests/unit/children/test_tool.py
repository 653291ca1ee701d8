"""What the runs of children mean. The texts are what hsload and hsdiff printed on real files and real outages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucket_loader.causes import Cause
from bucket_loader.check import hsdiff
from bucket_loader.children.answer import Answer
from bucket_loader.children.supervise import Ending, Finished
from bucket_loader.children.tool import answer_of
from bucket_loader.load import hsload
from bucket_loader.load.hsload import Mode
from bucket_loader.log import printable
from tests.attempts import Attempt, Verdict, attempt

AT = "2026-11-22 14:35:52,217"
CRASH = """\
Traceback (most recent call last):
  File "/app/bin/hsload", line 8, in <module>
    sys.exit(main())
             ^^^^^^
ValueError: Unknown compression, expect one of the following values: ['blosclz', 'lz4']"""


def ended(output: str, status: int = 0, ending: Ending = Ending.EXITED) -> Finished:
    return Finished(ending, status, 1.0, output.splitlines())


def judge_load(run: Finished, mode: Mode, named: Sequence[str] = ()) -> Attempt:
    return attempt(lambda: hsload.judge(run, mode, named))


def judge_diff(run: Finished, named: Sequence[str] = ()) -> Attempt:
    return attempt(lambda: hsdiff.judge(run, named))


def judge_own(run: Finished) -> Attempt:
    return attempt(lambda: answer_of(run))


def test_a_quiet_load_is_good() -> None:
    judged = judge_load(ended(f"WARNING {AT} runtime error getting fillvalue for dataset: /g1/dset"), mode=Mode.LINK)
    assert (judged.verdict, judged.status, judged.reason) == (Verdict.GOOD, 0, "")


def test_a_load_that_printed_error_failed_although_it_exited_with_0() -> None:
    judged = judge_load(ended(f"ERROR {AT} ERROR: failed to create dataset: bad type"), mode=Mode.LINK)
    assert judged.verdict is Verdict.BAD
    assert judged.status == 1
    assert judged.reason == "ERROR: failed to create dataset: bad type"


def test_the_reason_is_the_line_that_says_what_is_wrong() -> None:
    output = f"ERROR {AT} Error opening file s3://b/k: file signature not found\n"
    output += f"ERROR {AT} exiting program with return code -1"
    judged = judge_load(ended(output, 255), mode=Mode.LINK)
    assert (judged.verdict, judged.status) == (Verdict.BAD, 255)
    assert judged.reason == "Error opening file s3://b/k: file signature not found"


def test_of_a_crash_the_exception_is_told_and_no_stack() -> None:
    judged = judge_load(ended(CRASH, 1), mode=Mode.INGEST)
    assert judged.reason == "ValueError: Unknown compression, expect one of the following values: ['blosclz', 'lz4']"


@pytest.mark.parametrize(
    "line",
    [
        "regionreference types not supported, attribute a in object /d will not be loaded",
        "Unexpected link type: UserLink",
    ],
)
def test_a_load_that_left_something_out_is_bad(line: str) -> None:
    judged = judge_load(ended(f"WARNING {AT} {line}"), mode=Mode.INGEST)
    assert (judged.verdict, judged.reason) == (Verdict.BAD, line)


def test_a_link_to_chunks_that_hsds_cannot_decode_is_bad_but_their_ingested_data_is_good() -> None:
    warning = (
        f"WARNING {AT} fletcher32 filter used by dataset: /d is not supported by HSDS, this filter will not be used"
    )
    assert judge_load(ended(warning), mode=Mode.LINK).verdict is Verdict.BAD
    assert judge_load(ended(warning), mode=Mode.LINK).reason.startswith("cannot be linked: fletcher32")
    assert judge_load(ended(warning), mode=Mode.INGEST).verdict is Verdict.GOOD


POOL = "HTTPConnectionPool(host='127.0.0.1', port=5101): "
TOO_MANY = (
    POOL + "Max retries exceeded with url: /groups/g-8b/links/g?domain=%2Fhome%2Fa.h5 (Caused by ResponseError({}))"
)
URL, DOMAIN = "s3://b/k", "/home/a.h5"


def crashed(*exceptions: str) -> str:
    """What Python prints of an exception and of those that it was raised from, those first."""
    blocks = [f'Traceback (most recent call last):\n  File "x.py", line 1\n    x()\n{text}' for text in exceptions]
    return "\nThe above exception was the direct cause of the following exception:\n".join(blocks)


OUTAGES: list[tuple[str, Cause]] = [
    (f"ERROR {AT} connection error: {POOL}Max retries exceeded", "away"),
    (f"ERROR {AT} POST error: 503", "busy"),
    (f"ERROR {AT} POST error - status_code: 500, reason: Internal Server Error", "away"),
    (f"ERROR {AT} got <class 'requests.exceptions.ReadTimeout'> exception: {POOL}Read timed out.", "away"),
    (
        f"ERROR {AT} got <class 'requests.exceptions.RetryError'> exception: "
        + TOO_MANY.format("'too many 503 error responses'"),
        "busy",
    ),
    (
        f"ERROR {AT} got <class 'requests.exceptions.RetryError'> exception: "
        + TOO_MANY.format("'too many 500 error responses'"),
        "away",
    ),
    (f"ERROR {AT} Error creating file {DOMAIN}: [Errno 503] Service Unavailable", "busy"),
    (f"ERROR {AT} Error creating file {DOMAIN}: Unexpected exception", "away"),
    (f"ERROR {AT} Error creating file {DOMAIN}: [Errno 409] Conflict", "away"),
    (f"ERROR {AT} Error opening file: {DOMAIN}: [Errno 500] Internal Server Error", "away"),
    (f"ERROR {AT} Error opening file {URL}: [Errno 16] Service Unavailable", "busy"),
    (f"ERROR {AT} Error opening file {URL}: [Errno 121] Internal Server Error", "away"),
    (f"ERROR {AT} Error opening file {URL}: An error occurred (SlowDown) when calling the GetObject operation", "busy"),
    (f'ERROR {AT} Error opening file {URL}: Read timeout on endpoint URL: "http://s3/b/k"', "away"),
    (f"ERROR {AT} ERROR : failed to copy dataset data (slice(0, 9, 1),): [Errno 500] Internal Server Error", "away"),
    (f"ERROR {AT} ERROR : failed to copy dataset data : Error retrieving data: 503", "busy"),
    (f"ERROR {AT} ERROR: failed to create attribute a of object /d -- Service Unavailable:503", "busy"),
    (f"ERROR {AT} ERROR: failed to create dataset: Connection Error", "away"),
    (crashed("OSError: Service Unavailable"), "busy"),
    (crashed("OSError: Connection Error"), "away"),
    (crashed("OSError: [Errno 500] Unexpected Error"), "away"),
    (crashed("OSError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection'))"), "away"),
    (crashed("ConnectionResetError: [Errno 104] Connection reset by peer"), "away"),
    (
        crashed('botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "http://s3/b/k"'),
        "away",
    ),
    (
        crashed(
            "botocore.exceptions.ClientError: An error occurred (SlowDown) when calling the GetObject operation "
            "(reached max retries: 4): SlowDown",
            "OSError: [Errno 16] SlowDown",
        ),
        "busy",
    ),
    (
        crashed(
            "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the GetObject operation: x",
            "PermissionError: ExpiredToken",
        ),
        "away",
    ),
    (
        crashed(
            "aiohttp.http_exceptions.ContentLengthError: 400, message:",
            "aiohttp.client_exceptions.ClientPayloadError: Response payload is not completed",
        ),
        "away",
    ),
]


@pytest.mark.parametrize(("output", "cause"), OUTAGES)
def test_what_may_pass_is_tried_again(output: str, cause: Cause) -> None:
    run = ended(output, 255)
    for judged in (judge_load(run, Mode.LINK, [URL, DOMAIN]), judge_diff(run, [URL, DOMAIN])):
        assert (judged.verdict, judged.busy) == (Verdict.TRY_AGAIN, cause == "busy")


# the same words again where a file can have them: as a name, in a value, behind a line break that was escaped
WORDS = [
    "timeout",
    "503",
    "errno 503",
    "Service Unavailable",
    "POST error: 503",
    "OSError: Service Unavailable",
    " -- Service Unavailable",
    "not supported",
    "Unexpected link type",
    ": Connection Error",
    "Traceback (most recent call last):",
    f"ERROR {AT} POST error: 503",
    "503 differences found",
    "(Caused by ResponseError('too many 503 error responses'))",
]
NAMES = st.one_of(
    st.text(min_size=1), st.lists(st.sampled_from(WORDS), min_size=1).map("".join), st.sampled_from(WORDS)
)
LOADS = [
    "ERROR {at} ERROR: failed to create attribute {name} of object /{name} -- Not Found:404",
    "ERROR {at} ERROR: failed to create attribute {name} of object /{name} for reference type -- bad",
    "ERROR {at} ERROR: failed to create dataset: link {name} is wrong",
    "ERROR {at} ERROR: failed to create dataset: '{name}'",
    "ERROR {at} ERROR : failed to copy dataset data (slice(0, 503, 1),): Can't read data ({name})",
    "ERROR {at} is_reference for {name} error: no attribute",
    "ERROR {at} Error opening file s3://b/{name}: Unable to open file (file signature not found)",
    "ERROR {at} unable to create group /{name}, already present",
    "Traceback (most recent call last):\n  File 'x.py', line 503\nOSError: cannot make {name} -- bad",
    "Traceback (most recent call last):\n  File 'x.py', line 503\nKeyError: '{name}'",
]
DIFFS = [
    "<{name}> not found in target",
    "values for dataset {name} differ for slice: (slice(503, 504, 1),)",
    "<{name}>  has attribute {name} different than <{name}>",
    "dataset: <{name}> and <{name}>",
]


def one_line(name: str) -> str:
    """A name as the log of a forked child has it."""
    return printable(name)


@given(name=NAMES, template=st.sampled_from(LOADS))
@example(name="a -- Service Unavailable", template=LOADS[0])
@example(name="An error occurred (SlowDown) when calling the GetObject operation", template=LOADS[6])
def test_a_file_that_cannot_be_loaded_is_bad_whatever_its_names(name: str, template: str) -> None:
    name = one_line(name)
    output = template.format(at=AT, name=name)
    judged = judge_load(
        Finished(Ending.EXITED, 1, 1.0, output.split("\n")), Mode.VALUES, [f"s3://b/{name}", f"/home/{name}"]
    )
    assert (judged.verdict, judged.busy, judged.next_mode) == (Verdict.BAD, False, None)


@given(names=st.lists(NAMES, min_size=1, max_size=5), template=st.sampled_from(DIFFS))
def test_a_difference_is_one_whatever_names_hsdiff_prints(names: list[str], template: str) -> None:
    """hsdiff prints names as they are, line breaks and all: such a check may be made again, but it is counted."""
    lines = [line for name in names for line in template.format(name=name).splitlines() if line.strip()]
    judged = judge_diff(Finished(Ending.EXITED, len(names), 1.0, [*lines, f"{len(names)} differences found"]))
    assert judged.verdict in (Verdict.BAD, Verdict.TRY_AGAIN) and not judged.busy
    if all(len(name.splitlines()) == 1 for name in names) and not any(line.startswith("ERROR") for line in lines):
        assert judged.verdict is Verdict.BAD


@given(name=NAMES)
def test_a_warning_is_about_what_it_says_and_not_what_it_names(name: str) -> None:
    warning = f"WARNING {AT} runtime error getting fillvalue for dataset: /{one_line(name)}"
    assert judge_load(Finished(Ending.EXITED, 0, 1.0, [warning]), Mode.LINK).verdict is Verdict.GOOD


@given(reason=NAMES, cause=st.sampled_from(["file", "away", "busy"]))
def test_the_verdict_of_our_own_comparison_is_not_in_its_words(reason: str, cause: Cause) -> None:
    """A difference is never given back uncounted; a trouble is exactly when its server was too busy."""
    expected = Verdict.BAD if cause == "file" else Verdict.TRY_AGAIN
    for verdict in ("different", "trouble"):
        text = Answer(verdict, reason, cause).to_json()
        judged = judge_own(Finished(Ending.EXITED, 1, 1.0, [reason], text))
        assert judged.verdict is expected and judged.busy == (cause == "busy" and verdict == "trouble")


def test_a_number_in_a_difference_is_not_a_status() -> None:
    judged = judge_diff(ended("values for dataset /gaps differ for slice: (slice(0, 500, 1),)", 1))
    assert judged.verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("ending", "status", "verdict", "words"),
    [
        (Ending.KILLED, 9, Verdict.TRY_AGAIN, "was killed by signal 9 SIGKILL (out of memory?)"),
        (Ending.KILLED, 11, Verdict.TRY_AGAIN, "was killed by signal 11 SIGSEGV"),
        (Ending.TOO_LONG, 15, Verdict.BAD, "took too long: ended after 9 s (load_time_limit)"),
        (Ending.TOO_MUCH, 15, Verdict.BAD, "printed too much: ended after 9 s (load_time_limit)"),
        (Ending.CALLED_OFF, 15, Verdict.CALLED_OFF, ""),
    ],
)
def test_how_a_child_died(ending: Ending, status: int, verdict: Verdict, words: str) -> None:
    run = Finished(ending, status, 1.0, limit="9 s (load_time_limit)")
    for judged in (judge_load(run, mode=Mode.LINK), judge_diff(run), judge_own(run)):
        assert (judged.verdict, judged.reason) == (verdict, words)
        assert judged.limited == (verdict is Verdict.BAD), "another run, or mode, would come to the same end"


@pytest.mark.parametrize(
    "kind", ["MemoryError", "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3. GiB"]
)
def test_a_tool_without_memory_is_not_run_again(kind: str) -> None:
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', kind]
    run = Finished(Ending.EXITED, 1, 1.0, lines, memory="900m (child_memory_limit)")
    for judged in (judge_load(run, Mode.INGEST), judge_diff(run)):
        assert judged.verdict is Verdict.BAD and judged.limited
        assert judged.reason.startswith("ran out of memory: a child may have 900m (child_memory_limit); ")
    answered = Finished(Ending.EXITED, 2, 1.0, answer=Answer.of_error(MemoryError()).to_json(), memory="9m (x)")
    assert judge_own(answered).reason == "ran out of memory: a child may have 9m (x); MemoryError"


def test_a_quiet_diff_passed() -> None:
    judged = judge_diff(ended(""))
    assert (judged.verdict, judged.reason) == (Verdict.GOOD, "")


def test_256_differences_are_not_an_exit_status_of_0() -> None:
    assert judge_diff(ended("Shape of </d> is different\n256 differences found", 0)).verdict is Verdict.BAD


def test_a_read_error_that_hsdiff_prints_and_does_not_count_is_not_passed() -> None:
    output = f"ERROR {AT} ERROR : failed to copy dataset data : [Errno 404] Not Found\nERROR : failed to copy"
    assert judge_diff(ended(output, 0)).verdict is Verdict.BAD


def test_the_first_difference_is_told() -> None:
    judged = judge_diff(ended("dataset: </refs> and </refs>\n1 differences found", 1))
    assert judged.reason == "dataset: </refs> and </refs>"


def test_a_crash_of_hsdiff_is_no_difference_and_is_said() -> None:
    assert judge_diff(ended(CRASH, 1)).reason.startswith("hsdiff crashed: ValueError: Unknown compression")


@pytest.mark.parametrize(
    ("ending", "status", "text", "verdict", "reason"),
    [
        (Ending.EXITED, 0, Answer("done").to_json(), Verdict.GOOD, ""),
        (Ending.EXITED, 1, Answer("different", "/d: 1").to_json(), Verdict.BAD, "/d: 1"),
        (Ending.KILLED, 11, Answer("different", "/d: 1").to_json(), Verdict.BAD, "/d: 1"),
        (Ending.EXITED, 0, "", Verdict.TRY_AGAIN, "a child ended with status 0 and left no answer: said"),
        (
            Ending.EXITED,
            0,
            '{"verdict": "done',
            Verdict.TRY_AGAIN,
            "a child ended with status 0 and left no answer: said",
        ),
        (
            Ending.EXITED,
            0,
            '{"verdict": "perhaps"}',
            Verdict.TRY_AGAIN,
            "a child ended with status 0 and left no answer: said",
        ),
        (Ending.EXITED, 0, "[1]", Verdict.TRY_AGAIN, "a child ended with status 0 and left no answer: said"),
        (Ending.KILLED, 9, "", Verdict.TRY_AGAIN, "was killed by signal 9 SIGKILL (out of memory?)"),
    ],
)
def test_a_child_of_ours_is_judged_by_its_answer_else_by_its_end(
    ending: Ending, status: int, text: str, verdict: Verdict, reason: str
) -> None:
    judged = judge_own(Finished(ending, status, 1.0, ["said"], text))
    assert (judged.verdict, judged.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("mode", "line", "expected"),
    [
        (Mode.LINK, "OSError: unexpected dataset_offset: -1", Mode.INGEST),
        (Mode.LINK, "ValueError: Unknown compression, expect one of the following values: ['lz4']", Mode.UNFILTERED),
        (Mode.INGEST, "ValueError: Unknown compression, expect one of the following values: ['lz4']", Mode.UNFILTERED),
        (Mode.UNFILTERED, "ValueError: Unknown compression, expect one of the following values: ['lz4']", None),
        (
            Mode.INGEST,
            "OSError: filter {'class': 'H5Z_FILTER_BITSHUFFLE', 'id': 32008, 'name': 'bitshuffle'} is not supported",
            Mode.UNFILTERED,
        ),
        (Mode.LINK, "ValueError: The truth value of an array with more than one element is ambiguous.", None),
        (Mode.UNFILTERED, "OSError: Can't read data (no appropriate function for conversion path)", Mode.VALUES),
        (Mode.VALUES, "OSError: Can't read data (no appropriate function for conversion path)", None),
        (Mode.LINK, "TypeError: Unknown link type", None),
    ],
)
def test_how_a_load_may_go_well_after_all(mode: Mode, line: str, expected: Mode | None) -> None:
    crashed = "Traceback (most recent call last):\n" + line
    assert judge_load(ended(crashed, 1), mode).next_mode is expected
