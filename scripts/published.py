"""Figures that others have published and the benchmark page quotes: one table, a reference for every row."""

from typing import NamedTuple


class Published(NamedTuple):
    """A figure, or a row of them, as it stands in print.

    data : what it was measured on; measure : what the figures are; method : whose; figures : as printed;
    reference : a key of `REFERENCES`.
    """

    data: str
    measure: str
    method: str
    figures: tuple[str, ...]
    reference: str


REFERENCES = {
    "arbelaez2011": "Arbelaez, Maire, Fowlkes & Malik (2011), Contour detection and hierarchical image "
    "segmentation, IEEE TPAMI 33(5), 898-916",
    "xie2016": "Xie, Girshick & Farhadi (2016), Unsupervised deep embedding for clustering analysis, ICML",
    "villar2020": "Villar-Corrales & Morgenshtern (2020), Scattering transform based image clustering using "
    "projection onto orthogonal complement, arXiv:2011.11586",
    "jiang2017": "Jiang, Zheng, Tan, Tang & Zhou (2017), Variational deep embedding, IJCAI",
    "mcconville2020": "McConville, Santos-Rodriguez, Piechocki & Craddock (2020), N2D: (not too) deep "
    "clustering via clustering the local manifold of an autoencoded embedding, ICPR",
}

# Covering, Rand index and variation of information, each ODS and OIS.
REGIONS = "covering, Rand index, variation"
BOUNDARY = "boundary F, ODS"
ACCURACY = "accuracy"

PUBLISHED = (
    Published(
        "BSDS500 test", REGIONS, "people", (".72", ".72", ".88", ".88", "1.17", "1.17"), "arbelaez2011"
    ),
    Published(
        "BSDS500 test", REGIONS, "gPb-owt-ucm", (".59", ".65", ".83", ".86", "1.69", "1.48"), "arbelaez2011"
    ),
    Published("BSDS500 test", BOUNDARY, "gPb-owt-ucm", (".73",), "arbelaez2011"),
    Published("BSDS500 test", BOUNDARY, "mean shift", (".64",), "arbelaez2011"),
    Published("BSDS500 test", BOUNDARY, "Felzenszwalb", (".61",), "arbelaez2011"),
    Published("MNIST", ACCURACY, "k-means on pixels", (".53",), "xie2016"),
    Published("MNIST", ACCURACY, "scattering and spectral clustering", (".964",), "villar2020"),
    Published("MNIST", ACCURACY, "VaDE (neural network)", (".945",), "jiang2017"),
    Published("MNIST", ACCURACY, "N2D (neural network)", (".979",), "mcconville2020"),
)


def published(measure: str) -> list[Published]:
    """Return the rows of one measure, in the order of the table."""
    return [row for row in PUBLISHED if row.measure == measure]


def sentence(measure: str) -> str:
    """Say the figures of one measure in a line, and where they stand."""
    rows = published(measure)
    figures = ", ".join(f"{row.method} {row.figures[0]} [{row.reference}]" for row in rows)
    return f"published for {rows[0].data}: {figures}"


def cited(*measures: str) -> str:
    """Return the references of some measures as a Markdown list."""
    keys = dict.fromkeys(row.reference for measure in measures for row in published(measure))
    return "\n".join(f"- [{key}] {REFERENCES[key]}" for key in keys)
