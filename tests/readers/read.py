"""Reads a file and its domain with what other people read them with, and compares; run in `.venv/readers`.

    read.py make FOLDER            writes climate.nc, as NetCDF-4, and wind.h5, as NREL's are
    read.py xarray|rex FILE DOMAIN   (HS_ENDPOINT, HS_USERNAME and HS_PASSWORD say where the domain is)

Prints how many variables were compared. Ends with a stack trace where one is not equal.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from rex import Resource

TIMES = 8760


def make(folder: Path) -> None:
    """Dimension scales, a group, an unlimited dimension, texts, packed numbers; meta, time_index and scale factors."""
    random = np.random.default_rng(7)
    time, lat, lon = np.arange(24), np.linspace(-60, 60, 25), np.linspace(0, 350, 36)
    cube = random.normal(280, 10, (24, 25, 36)).astype("f4")
    cube[3, 4, 5] = np.nan
    # text of a variable in ASCII alone: of h5pyd's bytes, xarray decodes no other
    stations = (("lat",), [f"Bern {n}" for n in range(25)], {"long_name": "Zürich and others"})
    climate = xr.Dataset(
        {"tas": (("time", "lat", "lon"), cube, {"units": "K"}), "station": stations},
        coords={"time": ("time", time, {"units": "hours since 2021-01-01"}), "lat": lat, "lon": lon},
        attrs={"title": "a climate that never was"},
    )
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    path = folder / "climate.nc"
    climate.to_netcdf(
        path,
        engine="h5netcdf",
        unlimited_dims=["time"],
        encoding={"tas": {"chunksizes": (6, 25, 36), "zlib": True, "shuffle": True, **packed}},
    )
    climate[["tas"]].mean("time").to_netcdf(path, engine="h5netcdf", mode="a", group="summary/mean")
    with h5py.File(folder / "wind.h5", "w") as file:
        meta = np.zeros(10, [("latitude", "f4"), ("longitude", "f4"), ("country", "S30"), ("elevation", "i2")])
        meta["latitude"], meta["country"] = np.linspace(30, 50, 10), b"United States"
        file["meta"] = meta
        times = np.datetime64("2012-01-01T00:00") + np.arange(TIMES) * np.timedelta64(1, "h")
        file["time_index"] = np.char.replace(times.astype("S20"), b"T", b" ")
        for name, factor in (("windspeed_100m", 100.0), ("temperature_100m", 10.0)):
            values = random.integers(0, 3000, (TIMES, 10)).astype("u2")
            data = file.create_dataset(name, data=values, chunks=(2190, 10), compression="gzip", shuffle=True)
            data.attrs["scale_factor"], data.attrs["units"] = factor, "m s-1"


def read_xarray(path: Path, domain: str) -> int:
    compared = 0
    for group in (None, "summary/mean"):
        mine = xr.open_dataset(path, engine="h5netcdf", group=group)
        # xarray itself would ask fsspec for such an address
        store = xr.backends.H5NetCDFStore(h5netcdf.File(f"hdf5:/{domain}", "r"), group=group)
        other = xr.open_dataset(store)
        xr.testing.assert_identical(mine.load(), other.load())
        assert mine.encoding.get("unlimited_dims") == other.encoding.get("unlimited_dims")
        compared += len(mine.variables)
    return compared


def read_rex(path: Path, domain: str) -> int:
    with Resource(str(path)) as mine, Resource(domain, hsds=True) as other:
        assert mine.meta.equals(other.meta) and (mine.time_index == other.time_index).all()
        names = [name for name in mine.datasets if name not in ("meta", "time_index")]
        for name in names:
            np.testing.assert_array_equal(mine[name], other[name], err_msg=name)
            np.testing.assert_array_equal(mine[name, 100:200, 3], other[name, 100:200, 3], err_msg=name)
        assert mine.scale_factors == other.scale_factors and mine.units == other.units
        return len(names) + 2


def main() -> None:
    what, place, *domain = sys.argv[1:]
    if what == "make":
        make(Path(place))
    else:
        print({"xarray": read_xarray, "rex": read_rex}[what](Path(place), *domain))


if __name__ == "__main__":
    main()
