"""All mutants, in the order of the numbers that `run.py --only` takes."""

from mutant import Mutant
from of_classify import CHECKS_53, CLASSIFY, ERRORS
from of_classroom import OF_CLASSROOM
from of_exercises import OF_EXERCISES
from of_features import NOTEBOOK_55, OF_FEATURES
from of_guidance import CHECKS_41, CLASSES, CLEAN_CLASSIFIER, CLOSED_FORMS, DISTILLATION, GRID, GUIDANCE
from of_library import (
    BIAS_FREE,
    DENOISERS,
    DISTANCES,
    EXACT,
    GENERALISATION,
    JACOBIANS,
    PROCEDURAL,
    SAMPLERS,
    SCHEDULES,
    SHIPPED,
    STATE,
    STOCHASTIC,
    SUBSPACES,
    TRAINING,
)
from of_notebooks import NOTEBOOKS
from of_scenes import SCENES
from of_zero_shot import NOTEBOOK_54, OF_ZERO_SHOT

__all__ = ["DENOISERS", "MUTANTS", "SCHEDULES", "Mutant"]

MUTANTS = [
    *SCHEDULES,
    *DENOISERS,
    *EXACT,
    *SAMPLERS,
    *STOCHASTIC,
    *TRAINING,
    *STATE,
    *DISTANCES,
    *SHIPPED,
    *SUBSPACES,
    *JACOBIANS,
    *BIAS_FREE,
    *PROCEDURAL,
    *GENERALISATION,
    *GUIDANCE,
    *CLASSES,
    *CLOSED_FORMS,
    *CHECKS_41,
    *GRID,
    *CLEAN_CLASSIFIER,
    *DISTILLATION,
    *CLASSIFY,
    *ERRORS,
    *CHECKS_53,
    *SCENES,
    *OF_FEATURES,
    *OF_ZERO_SHOT,
    *OF_EXERCISES,
    *OF_CLASSROOM,
    *NOTEBOOKS,
    *NOTEBOOK_54,
    *NOTEBOOK_55,
]
