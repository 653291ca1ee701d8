"""Ids and keys are HSDS's own: its code takes them apart."""

from __future__ import annotations

import pytest
from hsds.util import idUtil

from bucket_loader.storage import ids


def test_hsds_knows_the_ids_and_their_keys() -> None:
    root = ids.new_root()
    identity = ids.root_id(root)
    assert idUtil.isValidUuid(identity) and idUtil.isSchema2Id(identity) and idUtil.isRootObjId(identity)
    assert idUtil.getS3Key(identity) == ids.object_key(identity)
    for kind in "gdt":
        one = ids.new_id(kind, root)
        assert idUtil.isValidUuid(one) and not idUtil.isRootObjId(one) and idUtil.getRootObjId(one) == identity
        assert idUtil.getS3Key(one) == ids.object_key(one)
        assert ids.object_key(one).startswith(ids.prefix(root))
        assert ids.digits_of(one) == root
    dataset = ids.new_id("d", root)
    assert idUtil.getS3Key(f"c{dataset[1:]}_3_14") == ids.chunk_key(dataset, (3, 14))
    assert ids.info_key(root) == f"{ids.prefix(root)}.info.json"
    assert ids.domain_key("/home/me/a.h5") == "home/me/a.h5/.domain.json"


def test_what_is_no_id_has_no_root() -> None:
    for text in ("", "g-", "home/me/a.h5", "g-12345678-1234567-1234-123456-123456"):
        with pytest.raises(ValueError, match="is no id of an HSDS object"):
            ids.digits_of(text)
