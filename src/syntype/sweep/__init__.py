"""The main job: stages over one dataset, their plan, their order, and the report at the end.

workshop   the stages, each skipped when its result is there already
bench      what a model is scored with
compared   from folders of finished runs to one comparison
leaks      two sets, or two splits, and what they share
make       what goes into clusters and into a training
sweep      every k, seed, control and baseline, and the report
plan       what a sweep would do and cost, before it does
cost       operations, bytes, time
memory     what each encoder was when it was last loaded
tables     what verbs print
"""

from syntype.sweep.plan import Plan, plan_sweep
from syntype.sweep.sweep import parts_of, rewrite_report, run_part, run_sweep
from syntype.sweep.workshop import Clustering, Model, Workshop

__all__ = [
    "Clustering",
    "Model",
    "Plan",
    "Workshop",
    "parts_of",
    "plan_sweep",
    "rewrite_report",
    "run_part",
    "run_sweep",
]
