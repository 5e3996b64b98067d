"""Kernels of Markov chains: forward-backward and Viterbi over many sequences that lie one after another.

Forward and backward values are scaled at every step, by sums of their own, so that a sequence may be as long
as memory allows. Where a scale comes near the smallest number, the sequence is done again in log space: what
was lost on the way to such a scale is below 1e-28 of it otherwise.
"""

import math

import numpy as np

from segment.kernels.compile import kernel

SMALLEST = 1e-280


@kernel
def _advance(before, transitions, K, after):
    """after[j] = sum_i before[i] transitions[i, j]. before IN, after OUT (K,)."""
    for j in range(K):
        after[j] = before[0] * transitions[0, j]
    for i in range(1, K):
        share = before[i]
        for j in range(K):
            after[j] += share * transitions[i, j]


@kernel
def _forward(relative, scores, begin, end, starts, transitions, alpha):
    """Scaled forward pass of one sequence, alpha OUT; return the log-likelihood, NaN where it underflows."""
    K = starts.shape[0]
    row = np.empty(K)
    log_likelihood = 0.0
    for t in range(begin, end):
        if t == begin:
            row[:] = starts
        else:
            _advance(alpha[t - 1], transitions, K, row)
        scale = 0.0
        for j in range(K):
            row[j] *= relative[t, j]
            scale += row[j]
        if not scale >= SMALLEST:
            return np.nan
        for j in range(K):
            alpha[t, j] = row[j] / scale
        log_likelihood += math.log(scale) + scores[t]
    return log_likelihood


@kernel
def _backward(relative, begin, end, transitions, turned, alpha, pairs):
    """Scaled backward pass of one sequence: alpha INOUT becomes the posterior; pairs INOUT (K, K).

    `pairs` gains the expected transitions divided by their probabilities. Returns False where it underflows.
    """
    K = transitions.shape[0]
    beta, ahead, behind = np.ones(K), np.empty(K), np.empty(K)
    for t in range(end - 2, begin - 1, -1):
        for j in range(K):
            ahead[j] = relative[t + 1, j] * beta[j]
        _advance(ahead, turned, K, behind)
        norm, largest = 0.0, 0.0
        for i in range(K):
            norm += alpha[t, i] * behind[i]
            largest = max(largest, behind[i])
        if not norm >= SMALLEST:
            return False
        for i in range(K):
            share = alpha[t, i] / norm
            for j in range(K):
                pairs[i, j] += share * ahead[j]
            alpha[t, i] = share * behind[i]
        for i in range(K):
            beta[i] = behind[i] / largest
    return True


@kernel
def _log_sum(values, K):
    largest = -np.inf
    for k in range(K):
        largest = max(largest, values[k])
    if not largest > -np.inf:
        return -np.inf
    total = 0.0
    for k in range(K):
        total += math.exp(values[k] - largest)
    return largest + math.log(total)


@kernel
def _in_logs(densities, begin, end, log_starts, log_transitions, alpha, pairs):
    """Forward-backward of one sequence in log space; `pairs` gains the expected transitions themselves."""
    K = log_starts.shape[0]
    row, beta, ahead = np.empty(K), np.zeros(K), np.empty(K)
    for t in range(begin, end):
        for j in range(K):
            if t == begin:
                alpha[t, j] = log_starts[j] + densities[t, j]
                continue
            for i in range(K):
                row[i] = alpha[t - 1, i] + log_transitions[i, j]
            alpha[t, j] = _log_sum(row, K) + densities[t, j]
    log_likelihood = _log_sum(alpha[end - 1], K)
    if not log_likelihood > -np.inf:
        return -np.inf
    for t in range(end - 1, begin - 1, -1):
        if t < end - 1:
            for j in range(K):
                ahead[j] = densities[t + 1, j] + beta[j]
            for i in range(K):
                for j in range(K):
                    row[j] = log_transitions[i, j] + ahead[j]
                    pairs[i, j] += math.exp(alpha[t, i] + row[j] - log_likelihood)
                beta[i] = _log_sum(row, K)
        for i in range(K):
            alpha[t, i] = math.exp(alpha[t, i] + beta[i] - log_likelihood)
    return log_likelihood


@kernel
def forward_backward(
    densities, relative, scores, offsets, weights, starts, transitions, shares, first, moves, log_likelihoods
):
    """Posterior of the states of every sequence, and the sums that an M-step needs.

    Parameters
    ----------
    densities : IN (n, K) float64
        Log density of every row in every state.
    relative, scores : IN (n, K), (n,) float64
        The same as shares of its row, and the logarithm of the row's sum.
    offsets : IN (S + 1,) int64
        Where the sequences begin, and the end of the last.
    weights : IN (S,) float64
    starts, transitions : IN (K,), (K, K) float64
    shares : OUT (n, K) float64
        Posterior probabilities of the states, times the weight of the sequence.
    first, moves : INOUT (K,), (K, K) float64
        Gain the expected numbers of starts and of transitions.
    log_likelihoods : OUT (S,) float64
        -inf where the model cannot bring the sequence forth; such a sequence leaves no shares.
    """
    K = starts.shape[0]
    turned = np.ascontiguousarray(transitions.T)
    pairs = np.empty((K, K))
    for s in range(offsets.shape[0] - 1):
        begin, end, weight = offsets[s], offsets[s + 1], weights[s]
        pairs[:] = 0.0
        found = _forward(relative, scores, begin, end, starts, transitions, shares)
        if not np.isnan(found) and _backward(relative, begin, end, transitions, turned, shares, pairs):
            for i in range(K):
                for j in range(K):
                    pairs[i, j] *= transitions[i, j]
        else:
            pairs[:] = 0.0
            found = _in_logs(densities, begin, end, np.log(starts), np.log(transitions), shares, pairs)
        log_likelihoods[s] = found
        if not found > -np.inf:
            shares[begin:end] = 0.0
            continue
        for i in range(K):
            first[i] += weight * shares[begin, i]
            for j in range(K):
                moves[i, j] += weight * pairs[i, j]
        if weight != 1.0:
            for t in range(begin, end):
                for i in range(K):
                    shares[t, i] *= weight


@kernel
def viterbi(densities, offsets, log_starts, log_transitions, path, scores):
    """Most probable states of every sequence, the first of equals.

    Parameters
    ----------
    densities : IN (n, K) float64
        Log density of every row in every state.
    offsets : IN (S + 1,) int64
    log_starts, log_transitions : IN (K,), (K, K) float64
    path : OUT (n,) int32
    scores : OUT (S,) float64
        Log density of the sequence together with its path.
    """
    n, K = densities.shape
    came_from = np.empty((n, K), np.int32)
    best, row = np.empty(K), np.empty(K)
    for s in range(offsets.shape[0] - 1):
        begin, end = offsets[s], offsets[s + 1]
        for j in range(K):
            best[j] = log_starts[j] + densities[begin, j]
        for t in range(begin + 1, end):
            for j in range(K):
                row[j] = best[0] + log_transitions[0, j]
                came_from[t, j] = 0
            for i in range(1, K):
                for j in range(K):
                    value = best[i] + log_transitions[i, j]
                    if value > row[j]:
                        row[j] = value
                        came_from[t, j] = i
            for j in range(K):
                best[j] = row[j] + densities[t, j]
        last = 0
        for j in range(1, K):
            if best[j] > best[last]:
                last = j
        scores[s] = best[last]
        for t in range(end - 1, begin - 1, -1):
            path[t] = last
            if t > begin:
                last = came_from[t, last]
