"""The EM loop, and what goes with it: acceleration, stopping, results, uncertainty.

It knows neither a family of densities nor where data lie: a `Model` brings an E-step and an M-step.
"""

from segment.em.acceleration import ACCELERATIONS, Anderson, PlainSteps, Squarem, Stepping
from segment.em.conditional import ConditionalSteps, NewtonSteps
from segment.em.loop import run_em
from segment.em.model import Chart, Expectation, Model
from segment.em.monte_carlo import DrawnModel, NoiseAware, run_monte_carlo
from segment.em.result import EMResult, Repair
from segment.em.stopping import SmallChange, SmallGain, Stopping

__all__ = [
    "ACCELERATIONS",
    "Anderson",
    "Chart",
    "ConditionalSteps",
    "DrawnModel",
    "EMResult",
    "Expectation",
    "Model",
    "NewtonSteps",
    "NoiseAware",
    "PlainSteps",
    "Repair",
    "SmallChange",
    "SmallGain",
    "Squarem",
    "Stepping",
    "Stopping",
    "run_em",
    "run_monte_carlo",
]
