"""All mutants, in the order of the numbers that `run.py --only` takes."""

from mutant import Mutant
from of_classify import CLASSIFY
from of_guidance import CHECKS_41, CLASSES, CLOSED_FORMS, GRID, GUIDANCE
from of_library import (
    BIAS_FREE,
    DENOISERS,
    DISTANCES,
    EXACT,
    JACOBIANS,
    PROCEDURAL,
    SAMPLERS,
    SCHEDULES,
    SHIPPED,
    STOCHASTIC,
    SUBSPACES,
    TRAINING,
)
from of_notebooks import NOTEBOOKS
from of_scenes import SCENES

__all__ = ["DENOISERS", "MUTANTS", "SCHEDULES", "Mutant"]

MUTANTS = [
    *SCHEDULES,
    *DENOISERS,
    *EXACT,
    *SAMPLERS,
    *STOCHASTIC,
    *TRAINING,
    *DISTANCES,
    *SHIPPED,
    *SUBSPACES,
    *JACOBIANS,
    *BIAS_FREE,
    *PROCEDURAL,
    *GUIDANCE,
    *CLASSES,
    *CLOSED_FORMS,
    *CHECKS_41,
    *GRID,
    *CLASSIFY,
    *SCENES,
    *NOTEBOOKS,
]
