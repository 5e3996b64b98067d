"""What is said of clustered rows: a table of the components, and the JSON beside the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from segment.output import versions
from segment.table.fit import TableClustering

# Features that a line shows.
_SHOWN = 6


def components(clustering: TableClustering) -> list[dict[str, Any]]:
    """Return weight, mean and standard deviation of each component."""
    parameters = clustering.parameters
    variances = np.diagonal(parameters.spread_covariances(), axis1=1, axis2=2)
    return [
        {"component": k, "weight": weight, "mean": mean, "standard_deviation": deviation}
        for k, (weight, mean, deviation) in enumerate(
            zip(parameters.weights, parameters.means, np.sqrt(variances), strict=True)
        )
    ]


def names(clustering: TableClustering) -> list[str]:
    """Return the names of the features; their numbers, where they have none."""
    return list(clustering.source.columns or map(str, range(clustering.source.n_features)))


def lines(clustering: TableClustering) -> list[str]:
    """Return the components as lines of a table."""
    heads = names(clustering)
    shown = heads[:_SHOWN]
    more = [f"... {len(heads) - _SHOWN} more"] if len(heads) > _SHOWN else []
    rows = [["component", "weight", *(f"mean of {name}" for name in shown), *more]]
    for found in components(clustering):
        means = [f"{value:.5g}" for value in found["mean"][:_SHOWN]]
        rows.append([str(found["component"]), f"{found['weight']:.4f}", *means, *("" for _ in more)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def summarize(
    clustering: TableClustering, inputs: list[str], files: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return what the JSON beside the outputs holds."""
    source, result, parameters = clustering.source, clustering.result, clustering.parameters
    penalty = parameters.n_parameters * np.log(source.total_weight)
    return {
        "inputs": inputs,
        "n_samples": source.n_samples,
        "total_weight": source.total_weight,
        "features": names(clustering),
        "dtype": source.dtype.name,
        "n_components": parameters.n_components,
        "components": components(clustering),
        "log_likelihood": result.log_likelihood,
        "lower_bound": result.lower_bound,
        "bic": float(-2.0 * result.log_likelihood + penalty),
        "criterion": {str(n): value for n, value in clustering.curve.items()} or None,
        "n_iter": result.n_iter,
        "converged": result.converged,
        "repairs": list(map(str, result.repairs)),
        "reg_covar": clustering.family.reg_covar,
        "settings": clustering.settings.as_dict(),
        "files": files,
        "seconds": round(seconds, 3),
        "versions": versions(),
    }
