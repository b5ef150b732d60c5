"""CVE-2019-5736: a container overwrites the runtime through /proc/PID/exe."""

import os
import shutil
import subprocess
import time

import pytest

from attack import every_capability, inside_hook, must_not, share_pid_namespace
from oci_host import NEEDS, OCI, SECONDS

pytestmark = NEEDS

# Waits for a process that is the runtime, takes hold of its file, lets it go on, and writes when nobody executes it any
# more, which the kernel would not allow.
ATTACKER = """
until [ "$p" ]; do
    for d in /proc/[0-9]*; do
        case $(tr '\\0' ' ' <$d/cmdline) in /proc/self/exe*) p=$d ;; esac
    done
done 2>/dev/null
exec 9<$p/exe
cat /fifo >/dev/null
while [ -e $p ]; do :; done
i=0
while [ $i -lt 200 ] && ! (echo evil >/proc/self/fd/9) 2>/dev/null; do i=$((i + 1)); done
echo tried >/tried
exec sleep 1000
"""


@pytest.mark.weakened_by("own-file-writable")
@pytest.mark.parametrize("way", ["run", "exec", "hook"])
def test_the_runtimes_file_cannot_be_overwritten(oci, way):
    runtime = oci.path / "runtime"  # so that a success does no harm
    shutil.copy(OCI, runtime)
    before = runtime.read_bytes()
    # The image's program is the runtime again, which waits at the fifo: no moment has to be met.
    os.mkfifo(oci.rootfs / "fifo")
    (oci.rootfs / "bad").write_text("#!/proc/self/exe --log=/fifo\n")
    (oci.rootfs / "bad").chmod(0o755)
    every_capability(oci)
    oci.create("sh", "-c", ATTACKER)
    oci.ok("start", "c")
    command = [runtime, "--root", oci.root, "exec", "c", "/bad"]
    if way != "exec":
        share_pid_namespace(oci, oci.state()["pid"])
        oci.linux["cgroupsPath"] += "-2"
        if way == "hook":
            inside_hook(oci, "/bad")
        oci.write("/bad" if way == "run" else "true")
        command = [runtime, "--root", oci.root, "run", "--bundle", oci.bundle, "d"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=SECONDS, check=False)
    end = time.monotonic() + SECONDS
    while not (oci.rootfs / "tried").exists():
        assert time.monotonic() < end
    must_not(runtime.read_bytes() != before, "the runtime's file was overwritten")
