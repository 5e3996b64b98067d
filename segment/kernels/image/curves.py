"""Cubic Bezier curves along borders between pixels (Schneider, "An Algorithm for Automatically Fitting
Digitized Curves", Graphics Gems, 1990)."""

import numpy as np

from segment.kernels.compile import kernel

# Tangents are taken over so many points: those of the next point alone know eight directions.
REACH = 3

# Rounds in which a fit's parameters move to the nearest points of its curve; then it is split.
N_ROUNDS = 4

# Steps between pixels are softened before curves are fitted, in so many rounds of weights 1, 2, 1; no point
# is moved by more than this share of the tolerance.
N_SOFTENINGS, SOFTEST = 4, 0.75

# A piece whose handles are no more pixels than this from its chord is drawn straight.
STRAIGHT = 0.05


@kernel
def _sample(points, first, last, is_loop, samples):
    """Write the middles of the sides of pixels along an arc, and its ends if it has any; return how many."""
    n = 0
    if not is_loop:
        samples[0, 0], samples[0, 1] = points[first, 0], points[first, 1]
        n = 1
    for p in range(first, last):
        right, down = points[p + 1, 0] - points[p, 0], points[p + 1, 1] - points[p, 1]
        length = abs(right) + abs(down)
        for i in range(length):
            samples[n, 0] = points[p, 0] + right * (i + 0.5) / length
            samples[n, 1] = points[p, 1] + down * (i + 0.5) / length
            n += 1
    samples[n, 0], samples[n, 1] = points[last, 0], points[last, 1]
    if is_loop:
        samples[n, 0], samples[n, 1] = samples[0, 0], samples[0, 1]
    return n + 1


@kernel
def _soften(samples, n, is_loop, tolerance, soft, former):
    """Write softened samples; the ends of an arc stay."""
    most = SOFTEST * tolerance
    for k in range(n):
        soft[k, 0], soft[k, 1] = samples[k, 0], samples[k, 1]
    for _ in range(N_SOFTENINGS):
        for k in range(n):
            former[k, 0], former[k, 1] = soft[k, 0], soft[k, 1]
        for k in range(0 if is_loop else 1, n - 1):
            before = n - 2 if k == 0 else k - 1
            for d in range(2):
                soft[k, d] = 0.25 * former[before, d] + 0.5 * former[k, d] + 0.25 * former[k + 1, d]
            x, y = soft[k, 0] - samples[k, 0], soft[k, 1] - samples[k, 1]
            length = np.sqrt(x * x + y * y)
            if length > most:
                soft[k, 0] = samples[k, 0] + x * most / length
                soft[k, 1] = samples[k, 1] + y * most / length
        if is_loop:
            soft[n - 1, 0], soft[n - 1, 1] = soft[0, 0], soft[0, 1]


@kernel
def _tangent(samples, i, j):
    """Return the unit vector from one sample to another; zeros from a sample to itself."""
    x, y = samples[j, 0] - samples[i, 0], samples[j, 1] - samples[i, 1]
    length = max(np.sqrt(x * x + y * y), 1e-300)
    return x / length, y / length


@kernel
def _is_straight(curve):
    """Tell whether both handles lie on the chord."""
    x, y = curve[3, 0] - curve[0, 0], curve[3, 1] - curve[0, 1]
    length = np.sqrt(x * x + y * y)
    for h in range(1, 3):
        u, v = curve[h, 0] - curve[0, 0], curve[h, 1] - curve[0, 1]
        if abs(u * y - v * x) > STRAIGHT * length or not 0 <= u * x + v * y <= length * length:
            return False
    return True


@kernel
def _solve(samples, i, j, times, tangents, row, curve):
    """Write the curve from sample i to j that fits best, its tangents at the ends given."""
    x1, y1, x2, y2 = tangents[row, 0], tangents[row, 1], tangents[row, 2], tangents[row, 3]
    a = b = c = p = q = 0.0
    for k in range(i, j + 1):
        t = times[k]
        s = 1 - t
        b1, b2 = 3 * t * s * s, 3 * t * t * s
        own = s * s * s + b1
        x = samples[k, 0] - samples[i, 0] * own - samples[j, 0] * (1 - own)
        y = samples[k, 1] - samples[i, 1] * own - samples[j, 1] * (1 - own)
        a += b1 * b1
        b += b1 * b2
        c += b2 * b2
        p += b1 * (x1 * x + y1 * y)
        q += b2 * (x2 * x + y2 * y)
    b *= x1 * x2 + y1 * y2
    determinant = a * c - b * b
    x, y = samples[j, 0] - samples[i, 0], samples[j, 1] - samples[i, 1]
    chord = np.sqrt(x * x + y * y)
    left = right = 0.0
    if abs(determinant) > 1e-12 * a * c:
        left, right = (p * c - q * b) / determinant, (q * a - p * b) / determinant
    # Handles that point backward, or reach out far, would make loops.
    length = chord if chord > 0 else np.float64(j - i)
    if not (1e-3 * length < left < 2 * length and 1e-3 * length < right < 2 * length):
        left = right = length / 3
    for d in range(2):
        curve[0, d], curve[3, d] = samples[i, d], samples[j, d]
        curve[1, d] = samples[i, d] + left * tangents[row, d]
        curve[2, d] = samples[j, d] + right * tangents[row, 2 + d]


@kernel
def _at(curve, t, d):
    s = 1 - t
    inner = s * s * curve[0, d] + 2 * s * t * curve[1, d] + t * t * curve[2, d]
    return s * inner + t * (s * s * curve[1, d] + 2 * s * t * curve[2, d] + t * t * curve[3, d])


@kernel
def _worst(samples, i, j, times, curve):
    """Return the largest squared distance of a sample from its point of the curve, and which one it is."""
    most, worst = 0.0, (i + j) // 2
    for k in range(i + 1, j):
        x, y = _at(curve, times[k], 0) - samples[k, 0], _at(curve, times[k], 1) - samples[k, 1]
        if x * x + y * y > most:
            most, worst = x * x + y * y, k
    return most, worst


@kernel
def _move_times(samples, i, j, times, curve):
    """Move the samples' parameters toward the nearest points of the curve: a step of Newton's."""
    for k in range(i + 1, j):
        t, above, below = times[k], 0.0, 0.0
        s = 1 - t
        for d in range(2):
            p0, p1, p2, p3 = curve[0, d], curve[1, d], curve[2, d], curve[3, d]
            off = _at(curve, t, d) - samples[k, d]
            slope = 3 * (s * s * (p1 - p0) + 2 * s * t * (p2 - p1) + t * t * (p3 - p2))
            bend = 6 * (s * (p2 - 2 * p1 + p0) + t * (p3 - 2 * p2 + p1))
            above += off * slope
            below += slope * slope + off * bend
        if below > 0:
            times[k] = min(max(t - above / below, 0.0), 1.0)


@kernel
def _fit_piece(samples, soft, i, j, times, tangents, row, tolerance, curve):
    """Fit a curve to the samples from i to j; return -1, or where to split if it leaves the tolerance."""
    times[i] = 0.0
    for k in range(i + 1, j + 1):
        x, y = soft[k, 0] - soft[k - 1, 0], soft[k, 1] - soft[k - 1, 1]
        times[k] = times[k - 1] + np.sqrt(x * x + y * y)
    for k in range(i + 1, j + 1):
        times[k] /= times[j]
    worst = (i + j) // 2
    for _ in range(N_ROUNDS + 1):
        _solve(soft, i, j, times, tangents, row, curve)
        most, worst = _worst(samples, i, j, times, curve)
        if most <= tolerance * tolerance:
            return -1
        if most > 16 * tolerance * tolerance:
            return worst
        _move_times(soft, i, j, times, curve)
    return worst


@kernel
def _fit_arc(samples, soft, n, is_loop, tolerance, times, stack, tangents, curve, controls, n_pieces):
    """Fit curves to the samples of an arc; return how many pieces there are by now."""
    end = n - 1
    tangents[0, 0], tangents[0, 1] = _tangent(soft, 0, min(REACH, end))
    tangents[0, 2], tangents[0, 3] = _tangent(soft, end, max(0, end - REACH))
    if is_loop:
        x, y = _tangent(soft, max(0, end - REACH), min(REACH, end))
        tangents[0, 0], tangents[0, 1], tangents[0, 2], tangents[0, 3] = x, y, -x, -y
    stack[0, 0], stack[0, 1] = 0, end
    depth = 1
    while depth:
        depth -= 1
        i, j = stack[depth, 0], stack[depth, 1]
        split = -1
        if j > i + 1:
            split = _fit_piece(samples, soft, i, j, times, tangents, depth, tolerance, curve)
        if j == i + 1 or (split < 0 and _is_straight(curve)):
            for d in range(2):
                curve[1, d], curve[2, d], curve[3, d] = soft[i, d], soft[j, d], soft[j, d]
        if split < 0:
            for c in range(3):
                controls[n_pieces, c, 0], controls[n_pieces, c, 1] = curve[c + 1, 0], curve[c + 1, 1]
            n_pieces += 1
            continue
        # The second half waits below the first.
        x, y = _tangent(soft, max(i, split - REACH), min(j, split + REACH))
        tangents[depth + 1, 0], tangents[depth + 1, 1] = tangents[depth, 0], tangents[depth, 1]
        tangents[depth + 1, 2], tangents[depth + 1, 3] = -x, -y
        tangents[depth, 0], tangents[depth, 1] = x, y
        stack[depth, 0], stack[depth, 1] = split, j
        stack[depth + 1, 0], stack[depth + 1, 1] = i, split
        depth += 2
    return n_pieces


@kernel
def fit_curves(points, starts, is_frame, is_loop, tolerance, n_samples, controls, pieces):
    """Fit curves to every arc of a topology; those of the frame stay as they are.

    Parameters
    ----------
    points, starts : IN (P, 2) int32, (A + 1,) int64
        As in a `Topology`.
    is_frame : IN (A,) bool
    is_loop : IN (A,) bool
        Arcs that run around and meet no other: where they begin is no corner.
    tolerance : float
        Most pixels between a curve and the middle of a side of a pixel that it stands for.
    n_samples : int
        Most samples of an arc: sides of pixels, and two.
    controls : OUT (S, 3, 2) float64
        Both handles and the end of each piece; of a straight one they are its start, its end, its end.
    pieces : OUT (A + 1,) int64
        Number of the first piece of each arc.
    """
    samples, soft, former = np.empty((n_samples, 2)), np.empty((n_samples, 2)), np.empty((n_samples, 2))
    times = np.empty(n_samples)
    stack, tangents = np.empty((n_samples + 1, 2), np.int64), np.zeros((n_samples + 1, 4))
    curve = np.empty((4, 2))
    n_pieces = 0
    pieces[0] = 0
    for arc in range(len(is_frame)):
        first, last = starts[arc], starts[arc + 1] - 1
        if is_frame[arc] or tolerance == 0:
            for p in range(first, last):
                for d in range(2):
                    controls[n_pieces, 0, d] = points[p, d]
                    controls[n_pieces, 1, d] = controls[n_pieces, 2, d] = points[p + 1, d]
                n_pieces += 1
        else:
            n = _sample(points, first, last, is_loop[arc], samples)
            _soften(samples, n, is_loop[arc], tolerance, soft, former)
            n_pieces = _fit_arc(
                samples, soft, n, is_loop[arc], tolerance, times, stack, tangents, curve, controls, n_pieces
            )
        pieces[arc + 1] = n_pieces
