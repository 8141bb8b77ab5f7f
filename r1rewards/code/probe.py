"""Whether a box holds what its tier promises: found by a program that tries to break out of it."""

from __future__ import annotations

import os

from r1rewards.code.limits import Limits
from r1rewards.code.server import Box, BoxLost, Server, Silent, memfd, read_back

#: Tries what a program must not be able to do, and prints what worked all the same.
_PROBE = """
import os, socket
bad = []
for path in ('/etc/passwd', '/proc/1/environ', '/proc/1/mem', '/var', '/sys', '/run'):
    try:
        os.listdir(path) if path in ('/var', '/sys', '/run') else open(path, 'rb').read(1)
        bad.append('read ' + path)
    except OSError:
        pass
for path in ('/probe', '/usr/probe', '/var/tmp/probe', '/dev/shm/../../probe'):
    try:
        open(path, 'w')
        bad.append('write ' + path)
    except OSError:
        pass
try:
    socket.socket()
    bad.append('open a socket')
except OSError:
    pass
try:
    os.kill(os.getppid(), 19)
    if os.getppid() != 1:
        bad.append('signal its parent')
except OSError:
    pass
if set(os.environ) - {'HOME', 'PATH', 'LANG', 'TMPDIR', 'PYTHONHASHSEED', 'LC_CTYPE',
                      'OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'}:
    bad.append('see the environment')
print('; '.join(bad) or 'sealed')
"""


def self_test(server: Server) -> str | None:
    """Run the probe in a box of this server; what it could do that it should not, or None.

    Raises BoxLost where the machine is too busy to tell, or somebody kills the server.
    """
    output, errors, empty = memfd(), memfd(), memfd()
    try:
        with Box(server, Limits(), source=_PROBE) as box:
            box.start([empty, output, errors])
            if (fault := box.wait_ready()) is not None:
                raise Silent(f"the sandbox's self-test did not begin: {fault}")
            outcome = box.outcome()
        if outcome["killed"] in ("starved", "time"):
            raise Silent("the machine is too busy for the sandbox's self-test")
        said = read_back(output).decode(errors="replace").strip()
        if outcome["code"] == 0 and said == "sealed":
            return None
        return (
            f"the self-test could {said}" if said else f"the self-test failed: {read_back(errors)[-300:]!r}"
        )
    except BoxLost as error:
        if isinstance(error, Silent) or not server.usable:
            raise
        return str(error)
    finally:
        for fd in (output, errors, empty):
            os.close(fd)
