"""Figures of photos that are more than one segmentation: classes by hints, anomalies."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# Strokes on the astronaut, 512 x 512.
STROKES = {
    "astronaut": [[(225, 60), (230, 150)], [(110, 470), (170, 300), (260, 260), (360, 330), (400, 480)]],
    "flag": [[(20, 120), (90, 60)], [(30, 300), (60, 180)]],
    "shuttle": [[(395, 60), (420, 250)], [(470, 210), (480, 330)]],
    "elsewhere": [[(310, 40), (330, 180)], [(500, 20), (505, 120)], [(130, 20), (165, 100)]],
}
COLORS = {"astronaut": "#e6550d", "flag": "#3182bd", "shuttle": "#31a354", "elsewhere": "#756bb1"}


def hints_figure() -> Any:
    """Draw strokes on a photo and the classes that they give."""
    from matplotlib.patheffects import Normal, Stroke

    from segment.photo import read_photo
    from segment.photo.draw import draw_overlay, draw_segmented
    from segment.photo.hints.scribbles import read_hints
    from segment.photo.hints.segmentation import segment_hints
    from segment.style import new_figure

    photo = read_photo("skimage:astronaut")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strokes.geojson"
        features = [
            {
                "type": "Feature",
                "properties": {"name": name, "color": COLORS[name]},
                "geometry": {"type": "MultiLineString", "coordinates": lines},
            }
            for name, lines in STROKES.items()
        ]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        found = segment_hints(photo, read_hints(path, photo.shape))
    figure = new_figure(11.4, 4.1)
    left, middle, right = figure.subplots(1, 3)
    left.imshow(photo.display)
    for name, lines in STROKES.items():
        for line in lines:
            outlined = [Stroke(linewidth=5, foreground="white"), Normal()]
            left.plot(*np.array(line).T, color=COLORS[name], linewidth=3, path_effects=outlined)
    middle.imshow(draw_overlay(photo.display, found.label_map))
    right.imshow(draw_segmented(found))
    for axes, title in ((left, "a few strokes"), (middle, "outlines"), (right, "four classes")):
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    return figure


def anomaly_figure() -> Any:
    """Draw a weave with stains, how well a model of a good one explains it, and what it finds."""
    from benchmark_anomaly import as_photo, planted, weave

    from segment.photo import apply_model, segment_photo
    from segment.photo.anomalies import find_anomalies
    from segment.photo.outputs.anomaly import draw_areas, draw_densities
    from segment.style import new_figure

    model = segment_photo(as_photo(weave(np.random.default_rng(0))), smooth="none").model
    image, _ = planted(np.random.default_rng(20), 20)
    found = find_anomalies(apply_model(image, model))
    figure = new_figure(11.4, 3.3)
    panels = (
        (image, "a weave with stains"),
        (draw_densities(found.log_densities), "bright: colors that a good one has not"),
        (draw_areas(image, found.area_map), f"{len(found.areas)} areas, one false pixel in 1000"),
    )
    for axes, (panel, title) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.imshow(panel[:300, :400], interpolation="antialiased")
        axes.set_title(title, fontsize=11)
        axes.set_axis_off()
    return figure
