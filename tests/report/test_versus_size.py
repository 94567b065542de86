from dataclasses import replace
from itertools import pairwise

import matplotlib as mpl
import pytest

from fakes.versus import fake_entries
from syntype.configs import EvaluateConfig
from syntype.report.drawing import STYLE, settled
from syntype.report.versus import contrast
from syntype.report.versus_figure import _figure


@pytest.mark.slow
def test_thirty_models_on_ten_sets_stay_legible():
    skills = {f"open_clip:ViT-B-16/model-{n:02d}": 0.3 + 0.02 * n for n in range(30)}
    entries = fake_entries(skills, n_species=4, units_per_species=3)
    one = contrast(entries, EvaluateConfig(resamples=400))
    assert len(one.pairs) == 435
    (column,) = one.columns
    keys = [f"Set {number}" for number in range(10)]
    ten = replace(
        one,
        columns=tuple(replace(column, key=key, set=key) for key in keys),
        cells=tuple(replace(cell, column=key) for key in keys for cell in one.cells),
    )
    with mpl.rc_context(STYLE):
        figure = settled(_figure(ten, narrow=False))
    renderer = figure.canvas.get_renderer()
    assert len(figure.axes) == 10
    for ax in figure.axes[::3]:
        boxes = [label.get_window_extent(renderer) for label in ax.get_yticklabels()]
        assert len(boxes) == 30
        assert min(above.y0 - below.y1 for above, below in pairwise(boxes)) > 0
        assert min(box.x0 for box in boxes) >= 0
        assert ax.get_window_extent(renderer).width > figure.bbox.width / 6
