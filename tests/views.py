"""Files whose datasets have their values in other files: views of them, and external storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5s

Fill = Callable[[h5py.File, Path], None]
FRAME, FRAMES = (64, 300), 5


def frame(number: int) -> np.ndarray:
    return np.arange(64 * 300, dtype="i4").reshape(FRAME) + 100_000 * number


def write_frames(folder: Path, **options: object) -> list[str]:
    """Files with a frame each in "data"; their names."""
    folder.mkdir(exist_ok=True)
    for number in range(FRAMES):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file.create_dataset("group/data", data=frame(number), **options)
    return [f"{folder.name}/{number}.h5" for number in range(FRAMES)]


def stack(file: h5py.File, names: list[str], **options: object) -> None:
    """One frame after the other."""
    layout = h5py.VirtualLayout((len(names), *FRAME), "i4")
    for number, name in enumerate(names):
        layout[number] = h5py.VirtualSource(name, "group/data", FRAME)
    file.create_virtual_dataset("data", layout, **options)


def frames(**options: object) -> Fill:
    return lambda file, folder: stack(file, write_frames(folder / "frames", **options))


def some_are_missing(file: h5py.File, folder: Path) -> None:
    """Frames that are mapped by nothing, and are filled."""
    names = write_frames(folder / "frames", chunks=(64, 300), compression="gzip")
    layout = h5py.VirtualLayout((9, *FRAME), "i4")
    for number, name in zip((1, 2, 4, 7, 8), names, strict=True):
        layout[number] = h5py.VirtualSource(name, "group/data", FRAME)
    file.create_virtual_dataset("data", layout, fillvalue=-7)


def interleaved(file: h5py.File, folder: Path) -> None:
    """Row 0 of the first file, row 0 of the second …"""
    names = write_frames(folder / "frames", chunks=(1, 300), shuffle=True)
    layout = h5py.VirtualLayout((FRAMES * 64, 300), "i4")
    for number, name in enumerate(names):
        layout[number::FRAMES] = h5py.VirtualSource(name, "group/data", FRAME)
    file.create_virtual_dataset("data", layout)


def rows(file: h5py.File, folder: Path) -> None:
    """Frames below each other, in chunks of several rows, the last of which is at the edge."""
    names = write_frames(folder / "frames", chunks=(16, 70), compression="gzip", shuffle=True)
    layout = h5py.VirtualLayout((FRAMES * 64, 300), "i4")
    for number, name in enumerate(names):
        layout[64 * number : 64 * number + 64] = h5py.VirtualSource(name, "group/data", FRAME)
    file.create_virtual_dataset("data", layout)


def torn(file: h5py.File, folder: Path) -> None:
    """Parts of chunks, every other column, in an order of their own, and a part of the file itself."""
    names = write_frames(folder / "frames", chunks=(16, 70), compression="lzf")
    file["own"] = frame(9)
    layout = h5py.VirtualLayout((6, 20, 150), "i4", maxshape=(6, 20, 150))
    for number, name in enumerate(names):
        layout[5 - number] = h5py.VirtualSource(name, "group/data", FRAME)[7:27, ::2]
    layout[0] = h5py.VirtualSource(".", "own", FRAME)[3:23, 1::2]
    file.create_virtual_dataset("data", layout, fillvalue=5)


def one_file(file: h5py.File, folder: Path) -> None:
    (name, *_) = write_frames(folder / "frames", chunks=(8, 300))
    layout = h5py.VirtualLayout((48, 300), "i4")
    layout[:32] = h5py.VirtualSource(name, "group/data", FRAME)[32:]
    layout[32:] = h5py.VirtualSource(name, "group/data", FRAME)[:16]
    file.create_virtual_dataset("data", layout)


def other_fill(file: h5py.File, folder: Path) -> None:
    """Chunks that nobody wrote, of which each file says itself what they are."""
    (folder / "parts").mkdir()
    layout = h5py.VirtualLayout((3, 20), "f8")
    for number in range(3):
        with h5py.File(folder / f"parts/{number}.h5", "w") as part:
            made = part.create_dataset("x", (20,), "f8", chunks=(5,), fillvalue=float(number))
            made[5:10] = 50 + number
        layout[number] = h5py.VirtualSource(f"parts/{number}.h5", "x", (20,))
    file.create_virtual_dataset("data", layout, fillvalue=-1.0)


def records(file: h5py.File, folder: Path) -> None:
    kind = np.dtype([("a", "<i2"), ("b", ">f8"), ("c", "S3")])
    (folder / "parts").mkdir()
    layout = h5py.VirtualLayout((2, 30), kind)
    for number in range(2):
        values = np.zeros(30, kind)
        values["a"], values["b"], values["c"] = np.arange(30) + number, 0.5, b"xy"
        with h5py.File(folder / f"parts/{number}.h5", "w") as part:
            part["x"] = values
        layout[number] = h5py.VirtualSource(f"parts/{number}.h5", "x", (30,))
    file.create_virtual_dataset("data", layout)


def raw_files(file: h5py.File, folder: Path) -> None:
    """External storage in a file, in several, and one that ends too early."""
    (folder / "raw").mkdir()
    values = np.arange(60_000, dtype="<i4")
    (folder / "raw/all.bin").write_bytes(b"12345678" + values.tobytes())
    for number in range(4):
        (folder / f"raw/{number}.bin").write_bytes(b"x" * number + values[15_000 * number :][:15_000].tobytes())
    file.create_dataset("one", (200, 300), "<i4", external=[("raw/all.bin", 8, 240_000)])
    parts = [(f"raw/{number}.bin", number, 60_000) for number in range(4)]
    file.create_dataset("several", (200, 300), "<i4", external=parts)
    uneven = [("raw/all.bin", 8, 100_004), ("raw/all.bin", 100_012, h5py.h5f.UNLIMITED)]
    file.create_dataset("uneven", (200, 300), "<i4", external=uneven)
    file.create_dataset("short", (300, 300), "<i4", external=[("raw/all.bin", 8, h5py.h5f.UNLIMITED)])
    file.create_dataset("scalar", (), "<i4", external=[("raw/all.bin", 12, 4)])


VIEWS: dict[str, Fill] = {
    "chunk_each": frames(chunks=FRAME, compression="gzip", shuffle=True),
    "contiguous_each": frames(),
    "some_are_missing": some_are_missing,
    "interleaved": interleaved,
    "rows": rows,
    "torn": torn,
    "one_file": one_file,
    "other_fill": other_fill,
    "records": records,
    "raw_files": raw_files,
}


def endless(file: h5py.File, _: Path) -> None:
    """A view of files with a number in their names, as many as there will be."""
    space = h5s.create_simple((4, 3), (h5s.UNLIMITED, 3))
    space.select_hyperslab((0, 0), (h5s.UNLIMITED, 1), block=(1, 3))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_virtual(space, b"part-%b.h5", b"x", h5s.create_simple((3,)))
    h5py.h5d.create(file.id, b"data", h5py.h5t.IEEE_F64LE, h5s.create_simple((4, 3), (h5s.UNLIMITED, 3)), properties)


def view_of(name: str, dtype: str = "i4", shape: tuple[int, ...] = FRAME) -> Fill:
    def fill(file: h5py.File, folder: Path) -> None:
        write_frames(folder / "frames")
        layout = h5py.VirtualLayout(shape, dtype)
        layout[...] = h5py.VirtualSource(name, "group/data", shape)
        file.create_virtual_dataset("data", layout)

    return fill


def of_a_view(file: h5py.File, folder: Path) -> None:
    names = write_frames(folder / "frames")
    with h5py.File(folder / "middle.h5", "w") as middle:
        stack(middle, names)
    layout = h5py.VirtualLayout((FRAMES, *FRAME), "i4")
    layout[...] = h5py.VirtualSource("middle.h5", "data", (FRAMES, *FRAME))
    file.create_virtual_dataset("data", layout)


def external(name: str) -> Fill:
    return lambda file, _: file.create_dataset("data", (4,), "i4", external=[(name, 0, 16)])


# what is refused, and what is said of it
REFUSED: dict[str, tuple[Fill, str]] = {
    "endless": (endless, "names with a number to be filled in"),
    "not_there": (view_of("frames/none.h5"), "frames/none.h5 cannot be read"),
    "no_hdf5": (view_of("refused-no_hdf5.txt"), "cannot be read"),
    "outside": (view_of("../frames/0.h5"), "outside of the bucket"),
    "of_another_type": (view_of("frames/0.h5", "f4"), "has elements of integer of 32 bits LE"),
    "less_than_mapped": (view_of("frames/0.h5", shape=(65, 300)), "in which the mapped elements are not"),
    "of_a_view": (of_a_view, "one more step away"),
    "raw_not_there": (external("raw/none.bin"), "raw/none.bin cannot be read"),
    "raw_absolute": (external("/data/raw.bin"), "absolute path"),
}
