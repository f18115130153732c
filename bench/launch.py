"""Run a command and write its cost: `launch.py FILE COMMAND...`.

A small process between the bench and what it measures: the kernel counts a child's peak of memory from what its
parent has at the start.
"""

import json
import os
import sys
import time

file, *command = sys.argv[1:]
began_s = time.monotonic()
pid = os.posix_spawn(command[0], command, os.environ)
_, status, used = os.wait4(pid, 0)
ended_s = time.monotonic()
unit = 1 if sys.platform == "darwin" else 1024
cost = {
    "cpu_s": used.ru_utime + used.ru_stime,
    "wall_s": ended_s - began_s,
    "began_s": began_s,
    "peak_bytes": used.ru_maxrss * unit,
    "exit": os.waitstatus_to_exitcode(status),
}
with open(file, "w", encoding="ascii") as out:  # noqa: PTH123 - pathlib would be most of this process
    json.dump(cost, out)
