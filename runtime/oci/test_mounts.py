"""Mounts: attributes, propagation, remounts, file systems and their options."""

import json
import os
import subprocess
import time

import pytest

from oci_host import NEEDS, user_namespace

pytestmark = NEEDS


def add(oci, destination, type="tmpfs", options=(), **more):
    mount = {"destination": destination, "type": type, "source": "source",
             "options": list(options), **more}
    oci.config["mounts"].append(mount)
    return mount


def bind(oci, source, destination, *options):
    return add(oci, destination, "bind", ["rbind", *options], source=str(source))


def attributes(mountinfo, place):
    """The attributes of the topmost mount at @place."""
    found = [line.split() for line in mountinfo.splitlines() if line.split()[4] == place]
    return set(found[-1][5].split(","))


def optional(mountinfo, place):
    """Its propagation: the optional fields, without numbers."""
    found = [line.split() for line in mountinfo.splitlines() if line.split()[4] == place]
    fields = found[-1][6:found[-1].index("-")]
    return {f.split(":")[0] for f in fields}


@pytest.fixture
def tree(oci):
    """A mount with another one below it, which nobody else is a peer of."""
    top = oci.path / "tree"
    top.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "top", top], check=True)
    subprocess.run(["mount", "--make-private", top], check=True)
    (top / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "sub", top / "sub"], check=True)
    yield top
    subprocess.run(["umount", "--recursive", top], check=True)


# ---- attributes

SHOW = "cat /proc/self/mountinfo"
PAIRS = [("ro", "rw", "ro"), ("nosuid", "suid", "nosuid"), ("nodev", "dev", "nodev"),
         ("noexec", "exec", "noexec"), ("nodiratime", "diratime", "nodiratime"),
         ("noatime", "atime", "noatime"), ("nosymfollow", "symfollow", "nosymfollow")]


@pytest.mark.parametrize("on,off,shown", PAIRS)
def test_an_attribute_is_set_and_cleared(oci, tree, on, off, shown):
    bind(oci, tree, "/top", on)
    bind(oci, tree, "/tree", "r" + on)
    out = oci.sh(SHOW)
    assert shown in attributes(out, "/top") and shown not in attributes(out, "/top/sub")
    assert shown in attributes(out, "/tree") and shown in attributes(out, "/tree/sub")
    # From a source that has it everywhere.
    for path in (tree, tree / "sub"):
        subprocess.run(["mount", "-o", f"remount,bind,{on}", path], check=True)
    oci.config["mounts"][-2]["options"] = ["rbind", off]
    oci.config["mounts"][-1]["options"] = ["rbind", "r" + off]
    out = oci.sh(SHOW)
    assert shown not in attributes(out, "/top") and shown in attributes(out, "/top/sub")
    assert shown not in attributes(out, "/tree") and shown not in attributes(out, "/tree/sub")


@pytest.mark.parametrize("options,shown", [
    (["rrelatime"], {"relatime"}), (["rnoatime"], {"noatime"}), (["rstrictatime"], set()),
    (["rnoatime", "rnorelatime"], {"noatime"}), (["rnoatime", "ratime"], {"relatime"}),
    (["rstrictatime", "rnostrictatime"], {"relatime"}), (["rnorelatime"], {"relatime"}),
])
def test_access_times_have_one_mode(oci, tree, options, shown):
    bind(oci, tree, "/tree", *options)
    out = oci.sh(SHOW)
    for place in ("/tree", "/tree/sub"):
        assert attributes(out, place) & {"relatime", "noatime"} == shown


def test_recursive_words_have_the_last_word(oci, tree):
    bind(oci, tree, "/tree", "rro", "rw")
    add(oci, "/new", options=["ro", "rrw"])
    out = oci.sh(SHOW)
    assert "ro" in attributes(out, "/tree") and "ro" in attributes(out, "/tree/sub")
    assert "rw" in attributes(out, "/new")


def test_recursive_words_work_for_a_new_file_system(oci):
    add(oci, "/new", options=["rro", "rnosuid", "rnodev", "rnoexec", "rnosymfollow", "rnoatime"])
    assert {"ro", "nosuid", "nodev", "noexec", "nosymfollow", "noatime"} <= attributes(
        oci.sh(SHOW), "/new")


def test_nosymfollow_is_real(oci):
    add(oci, "/new", options=["nosymfollow"])
    out = oci.sh("echo x >/new/file; ln -s file /new/link; cat /new/link 2>&1; readlink /new/link")
    assert "Too many levels of symbolic links" in out or "Symbolic link loop" in out
    assert out.endswith("file\n")


# ---- remount

def test_remount_changes_what_is_named(oci, tree):
    bind(oci, tree, "/tree", "nosuid")
    add(oci, "/tree", "none", ["bind", "remount", "ro"])
    add(oci, "/new", options=["nodev", "size=64k"])
    add(oci, "/new", options=["remount", "noexec", "size=32k"])
    add(oci, "/proc", "proc", ["remount", "ro"])
    out = oci.sh(SHOW + "; grep /new /proc/mounts; touch /tree/x 2>&1; true")
    assert {"ro", "nosuid"} <= attributes(out, "/tree") and "ro" not in attributes(out, "/tree/sub")
    assert {"nodev", "noexec", "rw"} <= attributes(out, "/new")
    assert "size=32k" in out and "size=64k" not in out
    assert "ro" in attributes(out, "/proc")
    assert "Read-only file system" in out
    (tree / "still").touch()  # only the container's own mount changed


def test_what_cannot_be_remounted_is_said(oci, tree):
    oci.process["args"] = ["true"]
    bind(oci, tree, "/tree")
    mount = add(oci, "/bin", "none", ["remount", "ro"])
    assert 'mounts[8].options: "remount": /bin: nothing is mounted there' in oci.refused()
    mount["destination"] = "/not/there"
    assert "mounts[8].destination: open /not/there: No such file" in oci.refused()
    assert not (oci.rootfs / "not").exists()
    mount.update(destination="/tree", options=["remount", "size=1m"])
    assert ('mounts[8].options: "size=1m" would change a file system that no earlier mount of '
            "this configuration makes at /tree") in oci.refused()
    mount["options"] = ["remount", "bind", "size=1m"]
    assert 'mounts[8].options: "size=1m" is not an option of a bind mount' in oci.refused()


# ---- file systems and their options

def test_a_tmpfs_has_the_mode_of_what_it_covers(oci):
    (oci.rootfs / "private").mkdir(mode=0o700)
    (oci.rootfs / "tmp").mkdir()
    (oci.rootfs / "tmp").chmod(0o1777)
    for place in ("/private", "/tmp", "/made"):
        add(oci, place)
    add(oci, "/named", options=["mode=750"])
    (oci.rootfs / "named").mkdir(mode=0o711)
    out = oci.sh("stat -c %a /private /tmp /made /named")
    assert out.split() == ["700", "1777", "1777", "750"]


def test_words_that_a_file_system_does_not_know_but_the_specification_does(oci):
    add(oci, "/new", options=["acl", "noiversion", "defaults", "loud", "nomand", "async", "sync"])
    assert "/new tmpfs rw,sync" in oci.sh("cat /proc/mounts")
    add(oci, "/new", options=["fantasy"])
    assert 'mounts[8].options: "fantasy": ' in oci.refused()


def test_a_file_is_mounted_over_a_missing_path_and_through_a_symlink(oci):
    (oci.path / "file").write_text("content")
    (oci.rootfs / "real").write_text("")
    (oci.rootfs / "link").symlink_to("/real")
    bind(oci, oci.path / "file", "/made/of/nothing")
    bind(oci, oci.path / "file", "/link")
    out = oci.sh("cat /made/of/nothing; cat /real; readlink /link")
    assert out == "contentcontent/real\n"
    assert (oci.rootfs / "made" / "of" / "nothing").read_text() == ""


def layers(oci, n):
    """@n directories with long names, each with a file of its own, the first one the topmost."""
    made = []
    for k in range(n):
        d = oci.path / f"layer-{k:02}-{'x' * 60}"
        d.mkdir()
        (d / f"f{k}").touch()
        (d / "which").write_text(f"{k}\n")
        made.append(str(d))
    return made


@pytest.mark.parametrize("n", [2, 20])
def test_an_overlay_of_many_layers(oci, n):
    lower = layers(oci, n)
    for name in ("upper", "work"):
        (oci.path / name).mkdir()
    add(oci, "/o", "overlay", ["lowerdir=" + ":".join(lower), f"upperdir={oci.path}/upper",
                               f"workdir={oci.path}/work"])
    out = oci.sh("ls /o | wc -l; cat /o/which; echo new >/o/new")
    assert out.split() == [str(n + 1), "0"]
    assert (oci.path / "upper" / "new").read_text() == "new\n"


def test_an_overlay_whose_layers_have_colons(oci):
    lower = layers(oci, 6)
    odd = oci.path / ("a:b" + "y" * 50)
    os.rename(lower[3], odd)
    lower[3] = str(odd).replace(":", "\\:")
    add(oci, "/o", "overlay", ["lowerdir=" + ":".join(lower)])
    assert oci.sh("ls /o | wc -l; ls /o/f3").split() == ["7", "/o/f3"]


def test_an_overlay_in_a_user_namespace(oci):
    user_namespace(oci)
    lower = layers(oci, 2)
    for name in ("upper", "work"):
        (oci.path / name).mkdir()
        os.chown(oci.path / name, 100000, 100000)
    add(oci, "/o", "overlay", ["lowerdir=" + ":".join(lower), f"upperdir={oci.path}/upper",
                               f"workdir={oci.path}/work", "userxattr"])
    out = oci.sh("rm /o/which; ls /o; grep ' /o ' /proc/mounts")
    assert out.split()[:2] == ["f0", "f1"] and "userxattr" in out


def test_mqueue_devpts_and_sysfs(oci):
    oci.process["args"] = ["true"]
    out = oci.sh("grep -E ' /dev/(mqueue|pts) | /sys ' /proc/mounts; stat -c '%a %t:%T' /dev/pts/ptmx")
    lines = {line.split()[1]: line for line in out.splitlines() if line.startswith(("mq", "dev", "sys"))}
    assert lines["/dev/mqueue"].split()[2] == "mqueue"
    assert "gid=5,mode=620,ptmxmode=666" in lines["/dev/pts"]
    assert lines["/sys"].split()[2:4] == ["sysfs", "ro,nosuid,nodev,noexec,relatime"]
    assert out.endswith("666 5:2\n")


def cgroup_mount(oci, word):
    mount = next(m for m in oci.config["mounts"] if m["type"] == "cgroup")
    mount["options"] = [w for w in mount["options"] if w not in ("ro", "rw")] + [word]


@pytest.mark.parametrize("own", [True, False])
def test_the_cgroups_are_those_of_proc_self_cgroup(oci, own):
    if not own:
        oci.linux["namespaces"] = [n for n in oci.linux["namespaces"] if n["type"] != "cgroup"]
    script = ("p=/sys/fs/cgroup$(sed -n s/0:://p /proc/self/cgroup); echo $p; grep -c . $p/cgroup.procs; "
              "mkdir $p/new 2>&1 && rmdir $p/new && echo writable; true")
    cgroup_mount(oci, "ro")
    out = oci.sh(script)
    path, processes, refusal = out.splitlines()
    assert path == "/sys/fs/cgroup" + ("/" if own else oci.linux["cgroupsPath"])
    assert int(processes) > 0 and "Read-only file system" in refusal
    cgroup_mount(oci, "rw")
    assert oci.sh(script).splitlines()[2:] == ["writable"]


def test_the_hosts_cgroup_options_stay(oci):
    def options():
        lines = [x.split() for x in open("/proc/mounts")]
        return [x[3] for x in lines if x[2] == "cgroup2"]

    before = options()
    oci.linux["namespaces"] = [n for n in oci.linux["namespaces"] if n["type"] != "cgroup"]
    cgroup_mount(oci, "ro")
    oci.sh("true")
    assert options() == before


def test_a_dev_from_the_host_is_left_as_it_is(oci):
    oci.config["mounts"] = [m for m in oci.config["mounts"] if not
                            m["destination"].startswith("/dev")]
    source = oci.path / "hostdev"
    source.mkdir()
    os.mknod(source / "null", 0o666 | 0o020000, os.makedev(1, 3))
    for destination in ("/dev", "/dev/", "//dev/."):
        oci.config["mounts"].append(
            {"destination": destination, "type": "bind", "source": str(source), "options": ["bind"]})
        assert oci.sh("ls /dev") == "null\n"
        oci.config["mounts"].pop()


# ---- time namespace

def test_the_clocks_inside_are_offset(oci):
    for place in ("/usr", "/lib", "/lib64", "/etc/ld.so.cache"):
        if os.path.exists(place):
            bind(oci, place, place, "ro")
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"boottime": {"secs": 5000, "nanosecs": 250000000},
                                "monotonic": {"secs": -3, "nanosecs": 5}}
    clocks = ("import time, json; print(json.dumps([time.clock_gettime(time.CLOCK_BOOTTIME), "
              "time.clock_gettime(time.CLOCK_MONOTONIC), open('/proc/self/timens_offsets').read(), "
              "float(open('/proc/uptime').read().split()[0])]))")
    before = time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC)
    boot, monotonic, offsets, uptime = json.loads(oci.run("/usr/bin/python3", "-c", clocks))
    after = time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before[0] + 5000.25 <= boot <= after[0] + 5000.25
    assert before[1] - 3 <= monotonic <= after[1] - 2.9
    assert before[0] + 5000.2 <= uptime <= after[0] + 5000.3
    assert offsets.split() == ["monotonic", "-3", "5", "boottime", "5000", "250000000"]


def test_exec_has_the_containers_clocks(oci):
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"boottime": {"secs": 70000000}}
    oci.create("sleep", "1000")
    oci.ok("start", "c")
    assert float(oci.ok("exec", "c", "cat", "/proc/uptime").split()[0]) > 70000000


def test_an_offset_before_the_clocks_begin_is_refused(oci):
    oci.process["args"] = ["true"]
    oci.linux["namespaces"].append({"type": "time"})
    oci.linux["timeOffsets"] = {"monotonic": {"secs": -(10 ** 10)}}
    assert oci.refused().startswith("sampan-oci: linux.timeOffsets: ")


def test_features_lists_every_option_of_the_specification(oci):
    features = json.loads(oci.ok("features"))
    plain = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev
        nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private
        ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime
        rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid
        rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable
        idmap ridmap"""
    assert set(plain.split()) <= set(features["mountOptions"])
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True
