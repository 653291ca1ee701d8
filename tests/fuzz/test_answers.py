"""What a server says, damaged: the comparison finds a difference or has trouble, and never calls it the same."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bucket_loader.hsds import Hsds, HsdsError
from bucket_loader.load.object_counts import of_domain
from bucket_loader.verify import Domain, Report, Trouble, verify
from tests.copies import BUCKET, PASSWORD, USER, started
from tests.fuzz.answers import GONE, STRANGE, Answer, Replay, changed, material, places, served
from tests.odd_files import TEXT

EXAMPLES = int(os.environ.get("FUZZ_ANSWERS", "100"))


def fill(file: h5py.File) -> None:
    """One object for each thing that an answer says."""
    data = np.arange(60, dtype="i4").reshape(6, 10)
    file.create_dataset("g/chunked", data=data, chunks=(3, 5), maxshape=(None, 10), fillvalue=7)
    file["g/texts"], file["g/fixed"] = ["one", "zwölf", ""], np.array([b"ab", b"c"], "S4")
    file["g/records"] = np.array([(1, 2.5, b"x"), (2, 3.5, b"y")], [("a", "i2"), ("d", ">f8"), ("s", "S3")])
    file["g/mixed"] = np.array([("a", 1), ("bb", 2)], [("t", TEXT), ("i", "i4")])
    ragged = file.create_dataset("g/ragged", (2,), dtype=h5py.vlen_dtype("i4"))
    ragged[0], ragged[1] = [1, 2], [3]
    file["g/colours"] = np.array([0, 1], h5py.enum_dtype({"RED": 0, "GREEN": 1}, "i2"))
    file["g/scalar"], file["g/empty"] = 4.5, h5py.Empty("f4")
    file["type"] = np.dtype([("a", "i4"), ("b", "S3")])
    file.create_dataset("references", data=[file["g"].ref, file["g/texts"].ref], dtype=h5py.ref_dtype)
    file["soft"], file["external"] = h5py.SoftLink("/g/texts"), h5py.ExternalLink("other.h5", "/x")
    file["hard"] = file["g/texts"]
    attributes = file["g"].attrs
    attributes["number"], attributes["text"], attributes["numbers"] = 1, "Zürich", np.arange(5)
    attributes["texts"], attributes["empty"] = ["a", "b"], h5py.Empty("i4")


@dataclass
class Recorded:
    """A file, its domain, and all that HSDS answered when the two were compared."""

    path: Path
    name: str
    replay: Replay = field(repr=False)
    at_once: frozenset[str] = frozenset()  # what is asked where many objects are asked for at once

    def verify(self, at_once: bool = False) -> Report:
        """Ask about many objects at once, or about each by itself."""
        endpoint = self.replay.endpoint
        self.replay.asked.clear()
        with (
            Domain(Hsds(endpoint, USER, PASSWORD, BUCKET, patience=0.1, time_limit=5), self.name) as domain,
            h5py.File(self.path, "r") as source,
        ):
            if not at_once:
                domain._at_once = lambda *_: {}  # type: ignore[method-assign]
            return verify(source, domain, limit=3)

    def outcome(self, request: str, damage: Callable[[Answer], Answer]) -> str:
        self.replay.damaged, self.replay.damage = request, damage
        try:
            report = self.verify(at_once="h5paths" in request)
        except Trouble:
            return "trouble"
        return "same" if report.same else "different" if report.differences else "trouble"

    def request(self, of: str, what: str = "") -> str:
        """The request that was made about an object: "" for its description, or "links", "attributes", "value"."""
        hsds = Hsds(self.replay.endpoint, USER, PASSWORD, BUCKET)
        with h5py.File(self.path, "r"), Domain(hsds, self.name) as domain:
            self.replay.damaged = ""
            identity = domain.root()
            for part in of.split("/") if of else ():
                identity = {link["title"]: link["id"] for link in domain.links(identity) if "id" in link}[part]
        end = f"{identity}/{what}?" if what else f"{identity}?"
        return next(name for name in self.replay.answers if name.partition("[")[0].endswith(end))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    root = tmp_path_factory.mktemp("answers")
    path = root / "file.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    with started(root) as servers:
        name = servers.load(path, "ingest")
        with served(Replay(servers.hsds.endpoint)) as replay:
            made = Recorded(path, name, replay)
            reports = [made.verify(), made.verify(at_once=True)]
            made.at_once = frozenset(replay.asked)
            of_domain(Hsds(replay.endpoint, USER, PASSWORD, BUCKET), name)
            assert all(report.same for report in reports) and len(replay.answers) > 20
            assert any("h5paths" in request for request in made.at_once)
            replay.real = ""
            yield made


def strange(answer: Answer, rng: random.Random) -> Answer:
    """An answer with something in it that HSDS does not say."""
    place = rng.choice(list(places(answer.json)))
    value = rng.choice([*STRANGE, *([GONE] if place else [])])
    return answer.saying(changed(answer.json, place, lambda _: value))


def broken(answer: Answer, rng: random.Random) -> Answer:
    """An answer that is cut off, longer, garbled, or of another status."""
    body, at = answer.body, rng.randrange(len(answer.body))
    flipped = bytearray(body)
    flipped[at] ^= 1 << rng.randrange(8)
    return rng.choice(
        (
            replace(answer, body=body[:at]),
            replace(answer, body=body + bytes(rng.randrange(1, 9))),
            replace(answer, body=bytes(flipped)),
            replace(answer, length=len(body) + 5),
            replace(answer, status=rng.choice((201, 204, 302, 400, 404, 410, 500, 502, 503))),
            replace(answer, body=b"<html>Please log in</html>", kind="text/html"),
        )
    )


def told(good: Answer, bad: Answer) -> str:
    """Where two answers begin to differ."""
    at = next((n for n, (a, b) in enumerate(zip(good.body, bad.body, strict=False)) if a != b), len(good.body))
    return f"{good.body[max(0, at - 40) : at + 40]!r} became {bad.body[max(0, at - 40) : at + 40]!r}"


def says_the_same(one: Answer, other: Answer) -> bool:
    """Whether damage changed nothing that matters."""
    if (one.status, one.length) != (other.status, other.length):
        return False
    if "json" not in one.kind:
        return one.body == other.body
    try:
        before, after = one.json, other.json
        if "limits" in before:  # of the domain itself, only its root is asked
            return bool(before["root"] == after["root"])
        return bool(material(before) == material(after))
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


@pytest.mark.long
def test_a_damaged_answer_is_different_or_trouble(recorded: Recorded) -> None:
    wrong = []
    # the count's own request is none of the comparison, which cannot know that it was damaged
    asked = [request for request in recorded.replay.answers if "getobjs" not in request]
    for number in range(EXAMPLES):
        rng = random.Random(f"answer {number}")
        request = rng.choice(asked)
        good = recorded.replay.answers[request]
        bad = strange(good, rng) if "json" in good.kind and rng.random() < 0.7 else broken(good, rng)
        found = recorded.outcome(request, lambda _, bad=bad: bad)
        # an answer about many that is no good is left out, and each object asked for by itself
        asked_again = recorded.replay.asked - recorded.at_once if "h5paths" in request else None
        if found == "same" and not asked_again and not says_the_same(good, bad):
            wrong.append(f"{number}: {request.partition('?')[0]}: {told(good, bad)}")
    assert not wrong, "\n".join(wrong)


def test_a_damaged_answer_is_no_count(recorded: Recorded) -> None:
    """It is another count, or an error that the worker knows: it may pass, and is an attempt."""
    hsds = Hsds(recorded.replay.endpoint, USER, PASSWORD, BUCKET, patience=0.1)
    request = next(name for name in recorded.replay.answers if "getobjs" in name)
    good = recorded.replay.answers[request]
    wrong = []
    for number in range(EXAMPLES):
        rng = random.Random(f"count {number}")
        bad = strange(good, rng) if rng.random() < 0.7 else broken(good, rng)
        recorded.replay.damaged, recorded.replay.damage = request, lambda _, bad=bad: bad
        try:
            of_domain(hsds, recorded.name)
        except HsdsError as error:
            assert str(error).isprintable()
        except Exception as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}: {told(good, bad)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("of", "what", "place", "value"),
    [
        ("g/chunked", "", ("layout",), [1, 2, 3]),
        ("g/chunked", "", ("creationProperties",), [1]),
        ("g/chunked", "", ("creationProperties", "layout"), "x"),
        ("g/fixed", "", ("type", "strPad"), 5),
    ],
)
def test_json_of_another_form_is_no_crash(
    recorded: Recorded, of: str, what: str, place: tuple[Any, ...], value: Any
) -> None:
    found = recorded.outcome(
        recorded.request(of, what), lambda answer: answer.saying(changed(answer.json, place, lambda _: value))
    )
    assert found in ("different", "trouble")


def test_a_space_of_an_unknown_kind_is_no_scalar(recorded: Recorded) -> None:
    def unknown(answer: Answer) -> Answer:
        return answer.saying(changed(answer.json, ("shape", "class"), lambda _: "H5S_OTHER"))

    assert recorded.outcome(recorded.request("g/scalar"), unknown) != "same"


def test_a_reference_is_to_an_object_of_its_own_kind(recorded: Recorded) -> None:
    """A reader follows "groups/g-…"; from "grouqs/g-…" it gets nowhere."""

    def wrong(answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b"groups/", b"grouqs/"))

    assert recorded.outcome(recorded.request("references", "value"), wrong) == "different"
