"""Write small products and sets in the layouts of ESA, USGS, MicaSense and DJI."""

import json
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from tests.imagery.imagery_samples import save, save_tiff

ORDER = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
METRES = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B05": 20, "B06": 20, "B07": 20, "B8A": 20, "B11": 20,
          "B12": 20, "B01": 60, "B09": 60, "B10": 60}  # fmt: skip
# of Sentinel-2A, as its metadata states them
CENTRES = {"B1": 442.7, "B2": 492.4, "B3": 559.8, "B4": 664.6, "B5": 704.1, "B6": 740.5, "B7": 782.8,
           "B8": 832.8,
           "B8A": 864.7, "B9": 945.1, "B10": 1373.5, "B11": 1613.7, "B12": 2202.4}  # fmt: skip
SCENE = "T32TMT_20220701T102041"
SIDE_M = 1200
LANDSAT = "LC09_L2SP_193027_20220701_20220703_02_T1"


def georeferenced(metres: float, left: float = 399960, top: float = 5300040) -> dict:
    """Return the profile of a map in UTM."""
    return {"crs": CRS.from_epsg(32632), "transform": Affine(metres, 0, left, 0, -metres, top)}


def safe(
    folder: Path,
    level: str = "2A",
    *,
    values: dict[str, float] | None = None,
    offset: int | None = -1000,
    bands=tuple(METRES),
) -> Path:
    """Write a .SAFE folder; each band has a reflectance of 0.1 unless `values` gives another."""
    product = f"S2A_MSIL{level}_20220701T102041_N0400_R065_T32TMT_20220701T140000"
    path = folder / f"{product}.SAFE"
    granule = path / "GRANULE" / f"L{level}_T32TMT_A036680_20220701T102404"
    listed = []
    for band in bands:
        if band == "B10" and level == "2A":
            continue
        finest = METRES[band]
        for metres in (10, 20, 60) if level == "2A" else (finest,):
            if metres < finest or (band == "B08" and metres != 10):
                continue
            name = f"{SCENE}_{band}" + (f"_{metres}m" if level == "2A" else "")
            place = granule / "IMG_DATA" / (f"R{metres}m" if level == "2A" else "")
            place.mkdir(parents=True, exist_ok=True)
            size = SIDE_M // metres
            number = 10000 * (values or {}).get(band, 0.1) - (offset or 0)
            save(place / f"{name}.jp2", np.full((1, size, size), round(number), np.uint16), "JP2OpenJPEG",
                 QUALITY=100, REVERSIBLE="YES", **georeferenced(metres))  # fmt: skip
            listed.append((place / name).relative_to(path).as_posix())
    kind, unit = ("BOA", "BOA_QUANTIFICATION_VALUE") if level == "2A" else ("RADIO", "QUANTIFICATION_VALUE")
    added = "".join(f'<{kind}_ADD_OFFSET band_id="{i}">{offset}</{kind}_ADD_OFFSET>' for i in range(13))
    spectral = "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{band}"><RESOLUTION>10</RESOLUTION><Wavelength>'
        f'<MIN unit="nm">1</MIN><MAX unit="nm">9</MAX><CENTRAL unit="nm">{CENTRES[band]}</CENTRAL>'
        f"</Wavelength></Spectral_Information>"
        for i, band in enumerate(ORDER)
    )
    images = "".join(f"<IMAGE_FILE>{name}</IMAGE_FILE>" for name in listed)
    (path / f"MTD_MSIL{level}.xml").write_text(f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info><Product_Info><PRODUCT_URI>{product}.SAFE</PRODUCT_URI>
<PROCESSING_BASELINE>04.00</PROCESSING_BASELINE><Product_Organisation><Granule_List>
<Granule imageFormat="JPEG2000">{images}</Granule></Granule_List></Product_Organisation></Product_Info>
<Product_Image_Characteristics>
<{unit} unit="none">10000</{unit}>
{added if offset is not None else ""}
<Spectral_Information_List>{spectral}</Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info></n1:Level-{level}_User_Product>""")
    return path


def landsat(
    folder: Path, metadata: str = "txt", scene: str = LANDSAT, sun_elevation: float | None = None
) -> Path:
    """Write a folder with bands 1 to 7 (and 9 of level 1) of a reflectance of 0.05 times their number."""
    path = folder / scene
    path.mkdir(parents=True)
    surface = "L2" in scene
    factor, added = (2.75e-05, -0.2) if surface else (2.0e-05, -0.1)
    group = "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS" if surface else "LEVEL1_RADIOMETRIC_RESCALING"
    bands = list(range(1, 8)) + ([] if surface else [8, 9, 10])
    contents = {}
    for band in bands:
        name = f"{scene}_{'SR_' if surface else ''}B{band}.TIF"
        metres = 15 if band == 8 else 30
        value = round((0.05 * band - added) / factor)
        side = 900 // metres
        save(path / name, np.full((1, side, side), value, np.uint16), nodata=0, **georeferenced(metres))
        contents[f"FILE_NAME_BAND_{band}"] = name
    if surface:
        save(path / f"{scene}_ST_B10.TIF", np.full((1, 30, 30), 40000, np.uint16), **georeferenced(30))
    save(path / f"{scene}_QA_PIXEL.TIF", np.full((1, 30, 30), 21824, np.uint16), **georeferenced(30))
    fields = {f"REFLECTANCE_MULT_BAND_{band}": f"{factor:.2E}" for band in bands if band < 10}
    fields |= {f"REFLECTANCE_ADD_BAND_{band}": f"{added:.6f}" for band in bands if band < 10}
    # the other level is in the metadata of a level 2 product as well
    other = {f"REFLECTANCE_MULT_BAND_{band}": "2.0E-05" for band in bands} | {
        f"REFLECTANCE_ADD_BAND_{band}": "-0.1" for band in bands
    }
    groups = {"PRODUCT_CONTENTS": contents, group: fields}
    if sun_elevation is not None:
        groups["IMAGE_ATTRIBUTES"] = {"SUN_AZIMUTH": "148.6", "SUN_ELEVATION": f"{sun_elevation:.8f}"}
    if surface:
        groups["LEVEL1_RADIOMETRIC_RESCALING"] = other
    file = path / f"{scene}_MTL.{metadata}"
    if metadata == "json":
        file.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    elif metadata == "xml":
        inner = "".join(
            f"<{name}>{''.join(f'<{key}>{value}</{key}>' for key, value in one.items())}</{name}>"
            for name, one in groups.items()
        )
        file.write_text(
            f'<?xml version="1.0" encoding="UTF-8"?><LANDSAT_METADATA_FILE>{inner}</LANDSAT_METADATA_FILE>'
        )
    else:
        lines = []
        for name, one in groups.items():
            quote = '"' if name == "PRODUCT_CONTENTS" else ""
            fields = [f"    {key} = {quote}{value}{quote}" for key, value in one.items()]
            lines += [f"  GROUP = {name}", *fields, f"  END_GROUP = {name}"]
        file.write_text(
            "\n".join(["GROUP = LANDSAT_METADATA_FILE", *lines, "END_GROUP = LANDSAT_METADATA_FILE"])
        )
    return path


def xmp(nm: float | str | None, name: str | None = None, capture: str = "jW8VVJeXFVCJ3jLWsD5r") -> bytes:
    """Return an XMP packet as MicaSense and DJI write it."""
    inner = "" if nm is None else f"<Camera:CentralWavelength>{nm}</Camera:CentralWavelength>"
    inner += "" if name is None else f"<Camera:BandName>{name}</Camera:BandName>"
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:Camera="http://pix4d.com/camera/1.0/"'
        ' xmlns:MicaSense="http://micasense.com/MicaSense/1.0/">'
        f"{inner}<MicaSense:CaptureId>{capture}</MicaSense:CaptureId></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def camera_band(path: Path, packet: bytes, value: int = 30000, shape=(48, 64), tags=None) -> Path:
    """Write one band of a camera's set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full(shape, value, np.uint16)
    return save_tiff(path, (pixels, {700: packet, **(tags or {})}))


MICASENSE = {1: (475, "Blue"), 2: (560, "Green"), 3: (668, "Red"), 4: (840, "NIR"), 5: (717, "Red edge")}


def micasense(folder: Path, number: str = "0001", **more) -> Path:
    """Write a RedEdge-M set, and return the path that stands for it."""
    for band, (nm, name) in MICASENSE.items():
        camera_band(folder / f"IMG_{number}_{band}.tif", xmp(nm, name, number, **more), 10000 + 5000 * band)
    return folder / f"IMG_{number}"
