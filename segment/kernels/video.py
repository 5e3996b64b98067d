"""Adaptive mixtures, one a pixel: a frame updates them and is judged by them; squares of pixels vote.

Colors are luma Y and two opponent chromas U and V; a component has one variance for Y and one for both
chromas. Components of a pixel lie in the order of their weights. What nearly every pixel needs, its
heaviest component, is done a row at a time in loops short enough for LLVM to turn into vectors; the rest
pixel by pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segment.kernels.compile import kernel

# Rows of a component.
WEIGHT, SPREAD_Y, SPREAD_UV, MEAN_Y, MEAN_U, MEAN_V = range(6)

# How a pixel lies to an object: away from it, near it, inside.
INSIDE = 2

# Verdicts on a pixel.
BACKGROUND, MOVING, SHADOW = 0, 1, 2

_CONTRACT = ("contract", "nsz")
_THIRD = np.float32(1 / 3)
_HALF, _QUARTER, _ZERO, _ONE = np.float32(0.5), np.float32(0.25), np.float32(0), np.float32(1)

# Sums over a square count moving pixels in their lower half, in the upper also those in shadow.
_UPPER = 1 << 16


class State(NamedTuple):
    """What is known of every pixel; H rows of W.

    mixtures (H, K, 6, W) float32; counts (H, W) uint8: components in use; thresholds (H, W) float32; verdicts
    (H, W) uint8: of the last frame; inside (H, W) uint8: 1 where the last frame had an object near, 2 inside.
    """

    mixtures: np.ndarray
    counts: np.ndarray
    thresholds: np.ndarray
    verdicts: np.ndarray
    inside: np.ndarray


class Rules(NamedTuple):
    """Numbers of one frame, all float32; `Background` says what they mean."""

    rate: np.float32
    slower: np.float32
    prior: np.float32
    match: np.float32
    share: np.float32
    start: np.float32
    least_y: np.float32
    least_uv: np.float32
    most: np.float32
    darkest: np.float32
    tint: np.float32
    gain: np.float32
    rise: np.float32
    fall: np.float32
    least_threshold: np.float32
    most_threshold: np.float32


class Quorum(NamedTuple):
    """Shares of moving pixels in a square from which on its center moves or lies near or inside an object.

    `moving` is asked of a center that was found moving itself, `still` of another; near <= inside; float32.
    """

    moving: np.float32
    still: np.float32
    near: np.float32
    inside: np.float32


@kernel
def _split(pixels, red, green, blue):
    """Take the colors of a row apart. pixels IN (3 W,) uint8; red, green, blue OUT (W,) uint8."""
    for x in range(red.size):
        red[x] = pixels[3 * x]
        green[x] = pixels[3 * x + 1]
        blue[x] = pixels[3 * x + 2]


@kernel(fastmath=_CONTRACT)
def _mix_colors(red, green, blue, gain, light, u, v):
    """Luma and chromas of a row. light, u, v OUT (W,) float32."""
    for x in range(light.size):
        r, g, b = np.int32(red[x]), np.int32(green[x]), np.int32(blue[x])
        light[x] = np.float32(r + g + g + b) * (gain * _QUARTER)
        u[x] = np.float32(b - r) * (gain * _HALF)
        v[x] = np.float32(g + g - b - r) * (gain * _QUARTER)


@kernel(fastmath=_CONTRACT)
def _measure(component, light, u, v, distances):
    """Squared distances from a component, a third of chi squared. component IN (6, W); distances OUT (W,)."""
    for x in range(light.size):
        y, p, q = component[3, x] - light[x], component[4, x] - u[x], component[5, x] - v[x]
        a, b = component[1, x], component[2, x]
        distances[x] = (y * y * b + (p * p + q * q) * a) / (a * b) * _THIRD


@kernel(fastmath=_CONTRACT)
def _choose_rates(distances, weights, inside, rules, rates):
    """How far each heaviest component moves towards its pixel; 0 if it does not match. rates OUT (W,)."""
    for x in range(rates.size):
        rate = rules.rate * (rules.slower if inside[x] == INSIDE else _ONE)
        moved = rate / (weights[x] + rate * (_ONE - rules.prior - weights[x]))
        rates[x] = moved if distances[x] < rules.match else _ZERO


@kernel(fastmath=_CONTRACT)
def _spread(variances, means, values, rates, least, most):
    """Move the variances of luma. variances INOUT (W,); the others IN."""
    for x in range(values.size):
        error = means[x] - values[x]
        moved = variances[x] + rates[x] * (error * error - variances[x])
        moved = moved if moved > least else least
        variances[x] = moved if moved < most else most


@kernel(fastmath=_CONTRACT)
def _spread_pair(component, u, v, rates, least, most):
    """Move the variances of both chromas. component INOUT (6, W)."""
    for x in range(u.size):
        p, q = component[4, x] - u[x], component[5, x] - v[x]
        moved = component[2, x] + rates[x] * ((p * p + q * q) * _HALF - component[2, x])
        moved = moved if moved > least else least
        component[2, x] = moved if moved < most else most


@kernel(fastmath=_CONTRACT)
def _approach(means, values, rates):
    """Move means towards values. means INOUT (W,)."""
    for x in range(values.size):
        means[x] += rates[x] * (values[x] - means[x])


@kernel(fastmath=_CONTRACT, inline=True)
def _distance(mixture, i, x, light, u, v):
    y, p, q = mixture[i, 3, x] - light, mixture[i, 4, x] - u, mixture[i, 5, x] - v
    a, b = mixture[i, 1, x], mixture[i, 2, x]
    return (y * y * b + (p * p + q * q) * a) / (a * b) * _THIRD


@kernel(inline=True)
def _lift(mixture, i, x):
    """Move component i before those that weigh no more."""
    while i > 0 and mixture[i, 0, x] >= mixture[i - 1, 0, x]:
        for part in range(6):
            lower = mixture[i, part, x]
            mixture[i, part, x] = mixture[i - 1, part, x]
            mixture[i - 1, part, x] = lower
        i -= 1


@kernel(fastmath=_CONTRACT, inline=True)
def _move(mixture, i, x, light, u, v, rate, rules):
    """Move component i towards a pixel."""
    y, p, q = mixture[i, 3, x] - light, mixture[i, 4, x] - u, mixture[i, 5, x] - v
    a = mixture[i, 1, x] + rate * (y * y - mixture[i, 1, x])
    b = mixture[i, 2, x] + rate * ((p * p + q * q) * _HALF - mixture[i, 2, x])
    mixture[i, 1, x] = min(max(a, rules.least_y), rules.most)
    mixture[i, 2, x] = min(max(b, rules.least_uv), rules.most)
    mixture[i, 3, x] -= rate * y
    mixture[i, 4, x] -= rate * p
    mixture[i, 5, x] -= rate * q


@kernel(fastmath=_CONTRACT)
def _reweigh(mixture, n, x, matching, rate, prior):
    """Let all weights fade but the matching one's, drop what has no support; return how many are left."""
    kept, total, left = _ONE - rate, _ZERO, 0
    for i in range(n):
        weight = kept * mixture[i, 0, x] - prior
        weight += rate if i == matching else _ZERO
        if weight < prior and i != matching:
            continue
        total += weight
        if left < i:
            for part in range(1, 6):
                mixture[left, part, x] = mixture[i, part, x]
        mixture[left, 0, x] = weight
        left += 1
    for i in range(left):
        mixture[i, 0, x] /= total
    for i in range(1, left):
        _lift(mixture, i, x)
    return left


@kernel(fastmath=_CONTRACT)
def _add(mixture, n, x, light, u, v, rate, start):
    """Start a component, in place of the lightest if there is no room; return how many there are."""
    n = min(n + 1, mixture.shape[0])
    last = n - 1
    for i in range(last):
        mixture[i, 0, x] *= _ONE - rate
    mixture[last, 0, x] = _ONE if n == 1 else rate
    mixture[last, 1, x] = mixture[last, 2, x] = start
    mixture[last, 3, x] = light
    mixture[last, 4, x] = u
    mixture[last, 5, x] = v
    _lift(mixture, last, x)
    return n


@kernel(fastmath=_CONTRACT)
def _search(mixture, n, x, light, u, v, nearest, rules):
    """Return the distance from the nearest background component and the number of the first that matches.

    The heaviest, at the distance `nearest`, is known not to.
    """
    before = mixture[0, 0, x]
    for i in range(1, n):
        distance = _distance(mixture, i, x, light, u, v)
        if before < rules.share and distance < nearest:
            nearest = distance
        if distance < rules.match:
            return nearest, i
        before += mixture[i, 0, x]
    return nearest, -1


@kernel(fastmath=_CONTRACT)
def _is_shaded(mixture, n, x, light, u, v, rules):
    """Whether a pixel is a background component in shadow: darker, of the same tint."""
    before = _ZERO
    for i in range(n):
        mean = mixture[i, 3, x]
        if rules.darkest * mean <= light <= mean:
            shade = light / mean
            p, q = shade * mixture[i, 4, x] - u, shade * mixture[i, 5, x] - v
            if p * p + q * q < rules.tint * mixture[i, 2, x]:
                return True
        before += mixture[i, 0, x]
        if before >= rules.share:
            break
    return False


@kernel(fastmath=_CONTRACT)
def _judge(distances, shaded, thresholds, verdicts, inside, rules):
    """Compare with the thresholds; a pixel that flickers outside objects raises its own. All (W,).

    Conditions are numbers and `&` is no `and`: a branch would keep LLVM from vectors.
    """
    for x in range(distances.size):
        threshold = thresholds[x]
        beyond = np.uint8(distances[x] > threshold)
        shadow = np.uint8(shaded[x] != 0) & beyond
        moving = beyond ^ shadow
        flickers = (moving ^ np.uint8(verdicts[x] == MOVING)) & np.uint8(inside[x] == 0)
        changed = threshold * (rules.rise if flickers != 0 else rules.fall)
        changed = changed if changed > rules.least_threshold else rules.least_threshold
        thresholds[x] = changed if changed < rules.most_threshold else rules.most_threshold
        verdicts[x] = beyond + shadow


@kernel(fastmath=_CONTRACT)
def update_rows(frame, state, rules, first, last):
    """Judge rows first .. last - 1 of a frame and learn from them.

    Parameters
    ----------
    frame : IN (H, W, 3) uint8
    state : INOUT State
        At a rate of 0 only the verdicts change.
    rules : Rules
    first, last : int
    """
    W = frame.shape[1]
    rows = np.empty((5, W), np.float32)
    light, u, v, distances, rates = rows[0], rows[1], rows[2], rows[3], rows[4]
    colors, shaded = np.empty((3, W), np.uint8), np.empty(W, np.uint8)
    for y in range(first, last):
        mixture, counts = state.mixtures[y], state.counts[y]
        heaviest = mixture[0]
        _split(frame[y].reshape(3 * W), colors[0], colors[1], colors[2])
        _mix_colors(colors[0], colors[1], colors[2], rules.gain, light, u, v)
        _measure(heaviest, light, u, v, distances)
        _choose_rates(distances, heaviest[0], state.inside[y], rules, rates)
        _spread(heaviest[1], heaviest[3], light, rates, rules.least_y, rules.most)
        _spread_pair(heaviest, u, v, rates, rules.least_uv, rules.most)
        _approach(heaviest[3], light, rates)
        _approach(heaviest[4], u, rates)
        _approach(heaviest[5], v, rates)
        shaded[:] = 0
        for x in range(W):
            n, matching = np.int64(counts[x]), 0
            matches = distances[x] < rules.match
            if n == 1 and matches:
                continue
            if not matches:
                distances[x], matching = _search(mixture, n, x, light[x], u[x], v[x], distances[x], rules)
                if distances[x] > rules.least_threshold and rules.darkest < _ONE:
                    shaded[x] = _is_shaded(mixture, n, x, light[x], u[x], v[x], rules)
            if rules.rate == _ZERO:
                continue
            rate = rules.rate * (rules.slower if state.inside[y, x] == INSIDE else _ONE)
            prior = rate * rules.prior
            if matching > 0:
                weight = (_ONE - rate) * mixture[matching, 0, x] + rate - prior
                _move(mixture, matching, x, light[x], u[x], v[x], rate / weight, rules)
            n = _reweigh(mixture, n, x, matching, rate, prior)
            if matching < 0:
                n = _add(mixture, n, x, light[x], u[x], v[x], rate, rules.start)
            counts[x] = n
        _judge(distances, shaded, state.thresholds[y], state.verdicts[y], state.inside[y], rules)


@kernel
def _count_row(verdicts, moving, other, columns):
    """Add a row of verdicts to the sums of the columns: `moving` and, unless it is background, `other`."""
    nothing = np.int32(0)
    for x in range(verdicts.size):
        verdict = verdicts[x]
        part = moving if verdict == MOVING else nothing
        columns[x] += part + (other if verdict != BACKGROUND else nothing)


@kernel
def _accumulate(columns, sums):
    """Running sum. columns IN (n,); sums OUT (n + 1,)."""
    total = np.int32(0)
    sums[0] = 0
    for x in range(columns.size):
        total += columns[x]
        sums[x + 1] = total


@kernel
def _decide(left, right, areas, quorum, mask, inside):
    """Compare votes with areas. mask INOUT (W,) uint8: verdicts before; inside OUT (W,) uint8."""
    for x in range(mask.size):
        total, area = right[x] - left[x], np.float32(areas[x])
        moving = np.float32(total & np.int32(_UPPER - 1))
        needed = (quorum.moving if mask[x] == MOVING else quorum.still) * area
        shaded = np.uint8(127) if np.float32(total >> 16) > _HALF * area else np.uint8(0)
        mask[x] = np.uint8(255) if moving > needed else shaded
        inside[x] = np.uint8(moving > quorum.near * area) + np.uint8(moving > quorum.inside * area)


@kernel
def vote_rows(verdicts, radius, quorum, mask, inside, first, last):
    """Let the square about each pixel vote, for rows first .. last - 1.

    Parameters
    ----------
    verdicts : IN (H, W) uint8
    radius : int
        Half the side of the square, below 64; at the edges less of it counts.
    quorum : Quorum
    mask : OUT (H, W) uint8
        255 where enough pixels move, 127 where most move or lie in shadow, else 0.
    inside : OUT (H, W) uint8
    first, last : int
    """
    H, W = verdicts.shape
    one, upper = np.int32(1), np.int32(_UPPER)
    columns = np.zeros(W + 2 * radius, np.int32)
    sums = np.empty(W + 2 * radius + 1, np.int32)
    within = columns[radius : radius + W]
    widths = np.empty(W, np.int32)
    for x in range(W):
        widths[x] = min(x + radius, W - 1) - max(x - radius, 0) + 1
    for y in range(max(first - radius, 0), min(first + radius, H)):
        _count_row(verdicts[y], one, upper, within)
    for y in range(first, last):
        above, below = y - radius - 1, y + radius
        if below < H:
            _count_row(verdicts[below], one, upper, within)
        if above >= 0 and y > first:
            _count_row(verdicts[above], -one, -upper, within)
        height = np.int32(min(below, H - 1) - max(above, -1))
        _accumulate(columns, sums)
        mask[y] = verdicts[y]
        _decide(sums[:W], sums[2 * radius + 1 :], height * widths, quorum, mask[y], inside[y])


@kernel
def sample_ratios(frame, mixtures, mask, step, out):
    """Luma of the background over the frame's, on a grid of pixels outside objects, not dark, not full.

    frame IN (H, W, 3) uint8; mixtures as in `State`; mask IN (H, W) uint8; out OUT (n,) float32, large
    enough. Returns how many were found.
    """
    found = 0
    for y in range(0, frame.shape[0], step):
        for x in range(0, frame.shape[1], step):
            red, green, blue = frame[y, x]
            light = np.float32(np.int32(red) + 2 * np.int32(green) + np.int32(blue)) * _QUARTER
            if mask[y, x] < 255 and 20 < light < 235:
                out[found] = mixtures[y, 0, 3, x] / light
                found += 1
    return found
