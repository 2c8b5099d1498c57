"""XMP packets as cameras write them, and hostile ones."""

import pytest

from nircolor.imagery.metadata.xmp import xmp_properties

MICASENSE = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Camera="http://pix4d.com/camera/1.0" Camera:RigName="Altum">
<Camera:BandName>NIR</Camera:BandName><Camera:CentralWavelength>842</Camera:CentralWavelength>
<Camera:VignettingCenter><rdf:Seq><rdf:li>1000.5</rdf:li><rdf:li>770</rdf:li></rdf:Seq></Camera:VignettingCenter>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>\0\0"""


def test_properties_as_elements_attributes_and_lists():
    found = xmp_properties(MICASENSE)
    assert (found["bandname"], found["centralwavelength"], found["rigname"]) == (["NIR"], ["842"], ["Altum"])
    assert found["vignettingcenter"] == ["1000.5", "770"]


def test_prefixes_without_a_namespace():
    assert xmp_properties('<a><b drone-dji:BandFreq="860(+/-26)nm"/></a>') == {"bandfreq": ["860(+/-26)nm"]}


@pytest.mark.parametrize(
    "packet",
    [
        "",
        "no XML",
        "<a><b>1</a>",
        '<!DOCTYPE a [<!ENTITY e "850">]><a><CentralWavelength>&e;</CentralWavelength></a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a><CentralWavelength>850</CentralWavelength></a>',
        f"<a><CentralWavelength>850</CentralWavelength>{' ' * (1 << 20)}</a>",
        "<li>850</li>",
        "\ud800",
    ],
)
def test_packets_that_are_not_believed(packet):
    assert xmp_properties(packet) == {}
