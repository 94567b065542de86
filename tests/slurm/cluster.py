"""A private SLURM of one node, started without systemd: munged, slurmctld, slurmd.

    python cluster.py start FOLDER     prints the SLURM_CONF to export
    python cluster.py stop FOLDER

Everything lies below FOLDER, on ports of its own. No accounting, no cgroups, processes tracked by
Linux itself. Debian: apt-get install --no-install-recommends slurm-wlm munge.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CONTROLLER_PORT, NODE_PORT = 26817, 26818


def missing():
    """Programs that are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


def config(folder):
    """The content of slurm.conf: small waits, since tests are short."""
    node = socket.gethostname().split(".")[0]
    n_cpus = os.cpu_count() or 1
    settings = {
        "ClusterName": "tests",
        "SlurmctldHost": f"{node}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge.socket",
        "CredType": "cred/munge",
        "MpiDefault": "none",
        "MailProg": "/bin/true",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
        "AccountingStorageType": "accounting_storage/none",
        "JobRequeue": "1",
        "ReturnToService": "2",
        "KillWait": "5",
        "MinJobAge": "900",
        "PropagateResourceLimits": "NONE",
        "SlurmctldPort": CONTROLLER_PORT,
        "SlurmdPort": NODE_PORT,
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd.pid",
        "SlurmctldLogFile": f"{folder}/slurmctld.log",
        "SlurmdLogFile": f"{folder}/slurmd.log",
        "SlurmdSpoolDir": f"{folder}/spool",
        "StateSaveLocation": f"{folder}/state",
    }
    lines = [f"{key}={value}" for key, value in settings.items()]
    lines.append(f"NodeName={node} NodeAddr=127.0.0.1 CPUs={n_cpus} State=UNKNOWN")
    lines.append(f"PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines) + "\n"


def start(folder):
    """Bring it up; the path of slurm.conf."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    for name in ("spool", "state"):
        (folder / name).mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    path = folder / "slurm.conf"
    path.write_text(config(folder))
    environment = {**os.environ, "SLURM_CONF": str(path)}
    environment["PATH"] += ":/usr/sbin:/sbin"

    def run(*command):
        subprocess.run(command, env=environment, check=True)

    run("munged", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munged.seed")  # fmt: skip
    run("slurmctld", "-f", str(path))
    run("slurmd", "-f", str(path))
    for _ in range(150):
        found = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if found.stdout.strip().startswith("idle"):
            return path
        time.sleep(0.2)
    stop(folder)
    raise RuntimeError(f"the node never came up: {(folder / 'slurmctld.log').read_text()[-2000:]}")


def stop(folder):
    """End the daemons that `start` started."""
    for name in ("slurmd", "slurmctld", "munged"):
        path = folder / f"{name}.pid"
        if path.is_file() and path.read_text().strip():
            try:
                os.kill(int(path.read_text()), signal.SIGTERM)
            except ProcessLookupError:
                continue
    time.sleep(1)


if __name__ == "__main__":
    verb, place = sys.argv[1], Path(sys.argv[2]).resolve()
    if verb == "start":
        print(start(place))
    else:
        stop(place)
