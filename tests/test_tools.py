"""What the output of hsload and hsdiff means. The texts are what the two printed on real files."""

from __future__ import annotations

import pytest

from bucket_loader.child import Ending, Finished
from bucket_loader.tools import Mode, Verdict, judge_diff, judge_load, judge_verify

AT = "2026-11-22 14:35:52,217"
CRASH = """\
Traceback (most recent call last):
  File "/app/bin/hsload", line 8, in <module>
    sys.exit(main())
             ^^^^^^
ValueError: Unknown compression, expect one of the following values: ['blosclz', 'lz4']"""


def ended(output: str, status: int = 0, ending: Ending = Ending.EXITED) -> Finished:
    return Finished(ending, status, 1.0, output.splitlines())


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


@pytest.mark.parametrize(
    "line",
    [
        "connection error: HTTPConnectionPool(host='localhost', port=5101): Max retries exceeded",
        "Error creating file /home/a.h5: [Errno 503] Service Unavailable",
        "ERROR : failed to copy dataset data : [Errno 500] Internal Server Error",
        "Error opening file s3://b/k: An error occurred (SlowDown) when calling the GetObject operation",
        "Error opening file s3://b/k: Read timeout on endpoint URL",
    ],
)
def test_what_may_pass_is_tried_again(line: str) -> None:
    assert judge_load(ended(f"ERROR {AT} {line}", 255), mode=Mode.LINK).verdict is Verdict.TRY_AGAIN


def test_a_number_in_a_difference_is_not_a_status() -> None:
    judged = judge_diff(ended("values for dataset /gaps differ for slice: (slice(0, 500, 1),)", 1))
    assert judged.verdict is Verdict.BAD


@pytest.mark.parametrize(
    ("ending", "status", "verdict", "words"),
    [
        (Ending.KILLED, 9, Verdict.TRY_AGAIN, "was killed by signal 9 SIGKILL (out of memory?)"),
        (Ending.KILLED, 11, Verdict.TRY_AGAIN, "was killed by signal 11 SIGSEGV"),
        (Ending.TOO_LONG, 15, Verdict.TRY_AGAIN, "took too long: ended after 1 s"),
        (Ending.CALLED_OFF, 15, Verdict.CALLED_OFF, "was called off with status 15"),
    ],
)
def test_how_a_child_died(ending: Ending, status: int, verdict: Verdict, words: str) -> None:
    for judged in (judge_load(ended("", status, ending), mode=Mode.LINK), judge_diff(ended("", status, ending))):
        assert (judged.verdict, judged.reason) == (verdict, words)


def test_a_quiet_diff_passed() -> None:
    judged = judge_diff(ended(""))
    assert (judged.verdict, judged.reason) == (Verdict.GOOD, "PASSED")


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
    ("status", "output", "verdict", "reason"),
    [
        (0, "same: 3 objects, 1 attributes, 80 bytes", Verdict.GOOD, "PASSED"),
        (
            1,
            "different (1): /d: value at [3]: source 1, domain 2",
            Verdict.BAD,
            "/d: value at [3]: source 1, domain 2",
        ),
        (2, "trouble: s3://b/k cannot be read: no such key", Verdict.BAD, "s3://b/k cannot be read: no such key"),
        (2, "trouble (1): /d: Connection refused", Verdict.TRY_AGAIN, "/d: Connection refused"),
        (0, "", Verdict.BAD, "the comparison exited with status 0 and said nothing"),
        (
            1,
            CRASH,
            Verdict.BAD,
            "ValueError: Unknown compression, expect one of the following values: ['blosclz', 'lz4']",
        ),
    ],
)
def test_what_the_full_comparison_says(status: int, output: str, verdict: Verdict, reason: str) -> None:
    judged = judge_verify(ended(output, status))
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


@pytest.mark.parametrize(
    ("line", "busy"),
    [
        ("OSError: Service Unavailable", True),
        (
            "ERROR Max retries exceeded with url: /?domain=x (Caused by ResponseError('too many 503 error responses'))",
            True,
        ),
        (
            "ERROR Max retries exceeded with url: /?domain=x (Caused by ResponseError('too many 500 error responses'))",
            False,
        ),
        ("ERROR Connection refused", False),
    ],
)
def test_a_server_that_is_too_busy_is_no_fault_of_the_file(line: str, busy: bool) -> None:
    judged = judge_load(ended(line, status=1), Mode.LINK)
    assert (judged.verdict, judged.busy) == (Verdict.TRY_AGAIN, busy)
