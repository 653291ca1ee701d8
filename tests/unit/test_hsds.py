"""The rules about a server that need no server."""

from __future__ import annotations

import logging

import pytest

from bucket_loader.hsds import WrongVersion, expect_version


@pytest.mark.parametrize("version", ["0.8.4", "0.9.4", "0.9", "1.0.0", "1.0.2"])
def test_a_version_that_was_tried_is_used_without_a_word(version: str, caplog: pytest.LogCaptureFixture) -> None:
    expect_version("http://h", version)
    assert not caplog.records


@pytest.mark.parametrize("version", ["1.1.0", "0.10.0", "2.0", "None", "", "nightly"])
def test_one_that_was_not_tried_is_used_with_a_warning_that_names_it(version: str) -> None:
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign]
    logger = logging.getLogger("bucket_loader")
    logger.addHandler(handler)
    try:
        expect_version("http://h", version)
    finally:
        logger.removeHandler(handler)
    assert [record.levelno for record in seen] == [logging.WARNING]


@pytest.mark.parametrize("version", ["0.7.3", "0.6", "0.1.12"])
def test_one_that_is_too_old_is_refused_by_name(version: str) -> None:
    with pytest.raises(WrongVersion, match=rf"HSDS at http://h has version {version}: 0\.8 or a newer one is needed"):
        expect_version("http://h", version)
