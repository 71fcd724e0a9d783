"""Tell whether a run that has claimed a folder is still alive.

On the same machine, a run is alive as long as its process is. A process id alone tells little: in a container it is
often 1. So the machine's boot, the namespace of process ids, and the time at which the process started must agree.
Where these cannot be compared, on other machines, in other containers and without `/proc`, the age of a run's newest
file decides; a local run renews its claim, so that the age stays small.
"""

import os
from typing import Any

RENEWED_EVERY = 300.0
"""Seconds between two renewals of the claim of a run in this process."""
LAPSES_AFTER = 3600.0
"""Seconds without a renewal after which a claim lapses: clocks may differ, and storage may fail for a while."""
JOBS_LAST = 10 * 86_400.0
"""Seconds after which the claim of a job on other machines lapses, which nobody renews: Dataflow ends a job of 10 days.

https://cloud.google.com/dataflow/quotas
"""

_BOOT = "/proc/sys/kernel/random/boot_id"
_NAMESPACE = "/proc/self/ns/pid"


_FINGERPRINT, _ENDED = "fingerprint", "ended"


def owner(local: bool, fingerprint: str = "") -> dict[str, Any]:
    """Return what a claim says of its run.

    Args:
      local: whether this process runs it, rather than other machines.
      fingerprint: that of the embeddings' spec.
    """
    spec = {_FINGERPRINT: fingerprint}
    if not local:
        return {**spec, "lapses_after": JOBS_LAST}
    process = {"pid": os.getpid(), **_place(), "process_started": _started(os.getpid())}
    return {**spec, "lapses_after": LAPSES_AFTER, **process}


def ended(owner: Any) -> dict[str, Any]:
    """Return what the claim of a run says once the run has ended."""
    return {_FINGERPRINT: fingerprint_of(owner), _ENDED: True}


def is_claim(owner: Any) -> bool:
    """Whether there is a claim, and its run has not said that it has ended."""
    return isinstance(owner, dict) and not owner.get(_ENDED)


def fingerprint_of(owner: Any) -> str:
    """Return the fingerprint in a claim, '' if there is none."""
    found = owner.get(_FINGERPRINT) if isinstance(owner, dict) else ""
    return found if isinstance(found, str) else ""


def is_fresh(owner: Any, idle: float) -> bool:
    """Whether a run has not ended and was at work lately, wherever it runs; arguments as for `is_alive`."""
    here = isinstance(owner, dict) and bool(_place()) and _place().items() <= owner.items()
    return is_claim(owner) and (is_alive(owner, idle) if here else idle < LAPSES_AFTER)


def is_alive(owner: Any, idle: float) -> bool:
    """Whether the run of a claim may still be at work.

    Args:
      owner: the content of the claim, whatever it is; None if it has none.
      idle: seconds since the run last wrote a file or renewed its claim.
    """
    claim = owner if isinstance(owner, dict) else {}
    if claim.get(_ENDED):
        return False
    here, pid = _place(), claim.get("pid")
    if here and isinstance(pid, int) and here.items() <= claim.items():
        return (bool(_started(pid)) and _started(pid) == claim.get("process_started")) or _is_hidden(pid)
    lapses_after = claim.get("lapses_after")
    return idle < (lapses_after if isinstance(lapses_after, int | float) else LAPSES_AFTER)


def _place() -> dict[str, str]:
    """Return what names the machine, since it booted, and the namespace of process ids; {} where nothing does."""
    try:
        with open(_BOOT, encoding="ascii") as f:
            return {"boot": f.read().strip(), "pid_namespace": os.readlink(_NAMESPACE)}
    except OSError:
        return {}


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the boot; '' if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            # The second field, a name in parentheses, may hold anything; the start is the 22nd.
            return f.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _is_hidden(pid: int) -> bool:
    """Whether a process exists of which this user may not know more."""
    if os.path.exists(f"/proc/{pid}"):
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False
