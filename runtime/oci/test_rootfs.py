"""The container's root: what is mounted, masked and made in it, also when the image is not friendly."""

import pytest

from oci_host import NEEDS

pytestmark = NEEDS


def test_read_only_and_masked_paths(oci):
    (oci.rootfs / "secret").write_text("x")
    (oci.rootfs / "hidden").mkdir()
    (oci.rootfs / "hidden" / "x").write_text("x")
    (oci.rootfs / "fixed").mkdir()
    oci.linux["maskedPaths"] += ["/secret", "/hidden", "/not/there"]
    oci.linux["readonlyPaths"] += ["/fixed"]
    out = oci.sh("wc -c </secret; ls /hidden | wc -l; touch /hidden/y 2>&1; touch /fixed/y 2>&1; "
                 "echo 1 2>&1 >/proc/sys/kernel/panic; touch /works && echo works")
    assert out.split("\n")[:2] == ["0", "0"]
    assert out.count("Read-only file system") >= 3
    assert "works" in out


def test_read_only_root(oci):
    oci.config["root"]["readonly"] = True
    out = oci.sh("touch /x 2>&1; echo x >/dev/shm/x && cat /dev/shm/x")
    assert "Read-only file system" in out and out.endswith("x\n")


def test_mounts_in_order_with_options(oci):
    (oci.path / "data" / "deep").mkdir(parents=True)
    (oci.path / "data" / "file").write_text("hello")
    oci.config["mounts"] += [
        {"destination": "/data", "source": str(oci.path / "data"), "type": "bind",
         "options": ["rbind", "ro", "nosuid", "rprivate"]},
        {"destination": "/data/deep", "type": "tmpfs", "source": "t",
         "options": ["size=64k", "mode=700", "noexec"]},
        {"destination": "/one/file", "source": str(oci.path / "data" / "file"),
         "options": ["bind"]},
    ]
    out = oci.sh("cat /one/file; touch /data/x 2>&1; touch /data/deep/x && echo made; "
                 "grep ' /data' /proc/mounts; ls -ld /data/deep")
    assert out.startswith("hello")
    assert "Read-only file system" in out and "made" in out
    lines = [line for line in out.splitlines() if " /data" in line and "," in line]
    assert " ro,nosuid" in lines[0]
    assert "noexec" in lines[1] and "size=64k" in lines[1]
    assert "drwx------" in out
    assert not (oci.path / "data" / "deep" / "x").exists()


def test_bad_mounts_are_named(oci):
    oci.config["mounts"].append({"destination": "/x", "type": "tmpfs", "options": ["size=lots"]})
    assert 'mounts[7].options: "size=lots": Invalid argument' in oci.refused()
    oci.config["mounts"][7] = {"destination": "/x", "source": "/not/there", "options": ["bind"]}
    assert "mounts[7].source: open /not/there: No such file or directory" in oci.refused()
    oci.config["mounts"][7] = {"destination": "/x", "type": "nofs"}
    assert "mounts[7].type: nofs: No such device" in oci.refused()


def test_device_nodes(oci):
    oci.linux["devices"] = [{"path": "/dev/deep/mine", "type": "c", "major": 1, "minor": 3,
                             "fileMode": 0o640, "uid": 3, "gid": 4}]
    out = oci.sh("cd /dev; ls -ln null zero full random urandom tty deep/mine; "
                 "for n in fd stdin ptmx; do readlink $n; done; echo x >null; "
                 "head -c 3 zero | wc -c")
    for name, numbers in (("null", "1,   3"), ("zero", "1,   5"), ("full", "1,   7"),
                          ("random", "1,   8"), ("urandom", "1,   9"), ("tty", "5,   0")):
        line = next(line for line in out.splitlines() if line.endswith(f" {name}"))
        assert line.startswith("crw-rw-rw-") and numbers in line
    line = next(line for line in out.splitlines() if line.endswith("deep/mine"))
    assert line.split()[:4] == ["crw-r-----", "1", "3", "4"]
    assert out.splitlines()[-4:] == ["/proc/self/fd", "/proc/self/fd/0", "pts/ptmx", "3"]


@pytest.mark.parametrize("where", ["/proc", "/sys"])
def test_proc_and_sys_may_not_be_symlinks(oci, where):
    (oci.rootfs / "elsewhere").mkdir()
    (oci.rootfs / where[1:]).symlink_to("/elsewhere")
    assert "must be a directory, not a symlink" in oci.refused()


def test_links_in_an_images_own_dev_are_refused(oci):
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not
                            m["destination"].startswith("/dev")]
    (oci.rootfs / "dev").mkdir()
    target = oci.path / "target"
    target.write_text("safe")
    (oci.rootfs / "dev" / "null").symlink_to(target)
    assert "/dev/null: make the device: something else is there" in oci.refused()
    assert target.read_text() == "safe"
    (oci.rootfs / "dev" / "null").unlink()
    (oci.rootfs / "dev" / "null").write_text("")
    assert "/dev/null" in oci.refused()


def test_masks_use_the_hosts_null(oci):
    # CVE-2025-31133: with the image's /dev/null as mask, it is whatever the image put there.
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not
                            m["destination"].startswith("/dev")]
    oci.linux["maskedPaths"] = ["/secret"]
    (oci.rootfs / "secret").write_text("x")
    out = oci.sh("ls -l /secret; wc -c </secret")
    assert "1,   3" in out and out.endswith("0\n")


def test_what_a_symlink_leads_to_is_made_for_a_mount(oci):
    (oci.rootfs / "var").mkdir()
    (oci.rootfs / "var" / "run").symlink_to("/../run")
    (oci.rootfs / "etc").mkdir()
    (oci.rootfs / "etc" / "resolv.conf").symlink_to("../run/stub/resolv.conf")
    (oci.path / "resolv").write_text("nameserver\n")
    oci.config["mounts"] += [
        {"destination": "/var/run/lock", "type": "tmpfs"},
        {"destination": "/etc/resolv.conf", "type": "bind", "source": str(oci.path / "resolv"),
         "options": ["bind"]}]
    out = oci.sh("cat /etc/resolv.conf; grep -c ' /run/lock tmpfs' /proc/mounts")
    assert out.split() == ["nameserver", "1"]
    assert (oci.rootfs / "run" / "stub" / "resolv.conf").is_file()
