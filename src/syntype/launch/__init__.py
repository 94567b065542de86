"""A sweep as several jobs: on SLURM, as local processes, or here.

profile   what a cluster is to be asked for, from a TOML file
folder    what was launched: the sweep, the jobs, what each did
jobs      what one job runs, and how it pauses
slurm     scripts, submission, state, logs
local     the same jobs as local processes
"""

from syntype.launch.folder import Launch
from syntype.launch.local import run_processes
from syntype.launch.profile import Profile, read_profile
from syntype.launch.slurm import cancel, scripts, submit
from syntype.launch.status import logs, status

__all__ = [
    "Launch",
    "Profile",
    "cancel",
    "logs",
    "read_profile",
    "run_processes",
    "scripts",
    "status",
    "submit",
]
