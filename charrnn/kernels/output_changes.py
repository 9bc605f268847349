"""Temporal activation regularisation: the gradient of a penalty on how much outputs change from step to step.

The penalty is s/2 Σ (h_t - h_{t-1})², where the sum is over the steps, batch rows and units of a window (Merity, McCann
& Socher 2017, "Revisiting activation regularization for language RNNs").  The change from the state before the window
does not count: that state is taken as given.
"""

import numpy as np

from charrnn.kernels.compiler import Panels, float32, intp, kernel, void
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.simd import WIDTH, load, splat, store

f32 = np.float32


@kernel(void(Panels, float32, intp, GROUP, Panels))
def add_change_gradient(h, s, batch, group, dh):
    """dh_t += s ((h_t - h_{t-1}) - (h_{t+1} - h_t)) for a group of a window's B = ``batch`` rows.

    h and dh are panels (panels, R, columns).
    """
    panels, rows, columns = h.shape
    step = (group.last - group.first) * columns  # from a place to the next one of its batch row
    start = first_row(group.first, rows // batch - 1) * columns + step  # behind the incoming states
    stop = start + (rows // batch - 1) * step
    for panel in range(panels):
        h_at, dh_at = h.ctypes.data + panel * h.strides[0], dh.ctypes.data + panel * dh.strides[0]
        for k in range(start, stop, WIDTH):
            here, change = load(h_at, k), splat(f32(0.0))
            if k >= start + step:
                change = here - load(h_at, k - step)
            if k < stop - step:
                change = change - (load(h_at, k + step) - here)
            store(dh_at, k, load(dh_at, k) + splat(s) * change)
